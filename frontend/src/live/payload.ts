/** What comes over the socket, made into the types of the stores. Tolerant of missing keys. */

import type { AgentStateName, Match, QueueNow } from "@/api/types";
import type {
  Call,
  Caller,
  CallState,
  Consultation,
  Contact,
  Kept,
  Named,
  Trouble,
  Verstat,
} from "@/calls/calls";
import { likelyCustomer } from "@/calls/calls";
import type { CaptionEvent } from "@/captions/captions";
import type { Presence } from "@/presence/presence";

type Raw = Record<string, unknown>;

const raw = (value: unknown): Raw => (value && typeof value === "object" ? (value as Raw) : {});
const text = (value: unknown): string | null =>
  typeof value === "string" && value !== "" ? value : null;
const number = (value: unknown): number | null => (typeof value === "number" ? value : null);

/** What runs short on the server, in whole per cent. */
export interface Alarm {
  node: string;
  resource: string;
  percent: number;
}

export function readAlarms(value: unknown): Alarm[] {
  return (Array.isArray(value) ? value : []).map((one) => {
    const alarm = raw(one);
    return {
      node: text(alarm.node) ?? "",
      resource: text(alarm.resource) ?? "",
      percent: number(alarm.percent) ?? 0,
    };
  });
}

/** The telephony node of the payload's call, where there are several. */
export function nodeOf(payload: unknown): string | null {
  const { node } = raw(raw(payload).call);
  return typeof node === "string" ? node : null;
}

export function seqOf(payload: unknown): number | null {
  return number(raw(payload).seq);
}

export function readCall(value: unknown): Call {
  const call = raw(value);
  return {
    id: text(call.id) ?? "",
    state: (text(call.state) ?? "ringing") as CallState,
    direction: call.direction === "outbound" ? "outbound" : "inbound",
    from: text(call.from),
    to: text(call.to) ?? "",
    queue: text(call.queue),
    startedAt: text(call.started_at) ?? new Date().toISOString(),
    answeredAt: text(call.answered_at),
    agent: text(call.agent),
    kept: readKept(call),
  };
}

const RECORDING = ["running", "paused", "failed"] as const;

/** The payload of `call.recording`, also as it stands in a call. */
export function readKept(value: unknown): Kept {
  const kept = raw(value);
  return {
    recording: RECORDING.find((state) => state === kept.recording) ?? "off",
    consent: text(kept.consent) as Kept["consent"],
    resumesAt: text(kept.resumes_at),
  };
}

function readCaller(value: unknown, call: Call): Caller {
  if (typeof value === "string") return { number: value, name: null, country: null };
  const caller = raw(value);
  return {
    number: text(caller.number) ?? text(caller.e164) ?? call.from,
    name: text(caller.name),
    country: text(caller.country) ?? text(caller.region),
    divertedFrom: text(caller.diverted_from),
    verstat: readVerstat(caller.verstat),
  };
}

function readVerstat(value: unknown): Verstat | null {
  return value === "passed" || value === "failed" || value === "none" ? value : null;
}

/** The payload of `call.ringing`, also as it stands in the answer to `resume`. */
export function readContact(payload: unknown, now = Date.now()): Contact {
  const body = raw(payload);
  const call = readCall(body.call);
  const matches = Array.isArray(body.matches) ? (body.matches as Match[]).slice(0, 5) : [];
  const interaction = raw(body.interaction);
  return {
    call,
    caller: readCaller(body.caller, call),
    matches,
    incidents: Array.isArray(body.incidents) ? (body.incidents as Trouble[]).slice(0, 3) : [],
    queue: text(body.queue) ?? call.queue,
    policy: text(body.policy),
    interaction: text(body.interaction) ?? text(interaction.id) ?? text(raw(body.call).interaction),
    customer: likelyCustomer(matches),
    askedBy: body.asked_by ? readNamed(body.asked_by) : null,
    seenAt: now,
    seq: number(body.seq),
  };
}

function readNamed(value: unknown): Named {
  const one = raw(value);
  return { id: text(one.id) ?? "", name: text(one.name) ?? text(one.username) ?? "" };
}

/** A number within a sentence: left to right in every script (Unicode's LRI and PDI). */
const isolated = (number: string) => `\u2066${number}\u2069`;

const CONSULTED = ["ringing", "talking", "held", "joined"] as const;

/** The payload of `call.consultation`, also as it stands in the answer to `resume`. */
export function readConsultation(value: unknown): Consultation | null {
  const body = raw(value);
  const call = text(body.call);
  if (!call) return null;
  const outside = text(body.number);
  return {
    call,
    state: CONSULTED.find((state) => state === body.state) ?? "ended",
    agent: readNamed(body.agent),
    colleague: outside ? { id: "", name: isolated(outside) } : readNamed(body.colleague),
    number: outside,
    reason: text(body.reason),
  };
}

export function readPresence(payload: unknown): Partial<Presence> & { state: AgentStateName } {
  const body = raw(payload);
  return {
    state: (text(body.state) ?? "offline") as AgentStateName,
    since: text(body.since) ?? text(body.at),
    reason: text(body.reason),
    next: text(body.next) as AgentStateName | null,
    until: text(body.until),
    call: text(body.call),
    ...(typeof body.audio === "boolean" ? { audio: body.audio } : {}),
    ...(body.device === "phone" || body.device === "browser" ? { device: body.device } : {}),
  };
}

export function readCaption(payload: unknown): CaptionEvent | null {
  const body = raw(payload);
  const [call, id] = [text(body.call), text(body.id)];
  if (!call || !id) return null;
  return {
    call,
    id,
    leg: body.leg === "agent" ? "agent" : "customer",
    text: text(body.text) ?? "",
    t0: number(body.t0) ?? 0,
    t1: number(body.t1) ?? 0,
    final: body.kind === "final",
    masks: Array.isArray(body.masks) ? body.masks.map(String) : [],
  };
}

/** The answer to `call.captions`: what was said so far. */
export function readCaptions(items: unknown): CaptionEvent[] {
  const read = (Array.isArray(items) ? items : []).map(readCaption);
  return read.filter((one): one is CaptionEvent => one !== null);
}

/** A phrase that supervisors listen for, and where in which call it was said. */
export interface PhraseSaid {
  seq: number;
  interaction: string;
  name: string;
  phrase: string;
  leg: "agent" | "customer";
  severity: "note" | "warning" | "urgent";
  t0: number;
}

export function readPhrase(payload: unknown): PhraseSaid | null {
  const body = raw(payload);
  const interaction = text(body.interaction);
  if (!interaction) return null;
  const severity = body.severity;
  return {
    seq: number(body.seq) ?? 0,
    interaction,
    name: text(body.name) ?? "",
    phrase: text(body.phrase) ?? "",
    leg: body.leg === "agent" ? "agent" : "customer",
    severity: severity === "urgent" || severity === "note" ? severity : "warning",
    t0: number(body.t0) ?? 0,
  };
}

export function readQueues(payload: unknown): QueueNow[] {
  const queues = raw(payload).queues;
  if (!Array.isArray(queues)) return [];
  return queues.map((value) => {
    const queue = raw(value);
    return {
      name: text(queue.name) ?? "",
      waiting: number(queue.waiting) ?? 0,
      longest_wait_seconds: number(queue.longest_wait_seconds) ?? 0,
    };
  });
}
