/** All that the desktop knows, and how one event of the server changes it. Pure. */

import type { QueueNow } from "@/api/types";
import { type CallsState, noCalls, reduceCalls } from "@/calls/calls";
import { type Captions, captionsOf, hear, noCaptions } from "@/captions/captions";
import { atStart, type Presence, reducePresence } from "@/presence/presence";
import {
  type PhraseSaid,
  readCall,
  readCaption,
  readConsultation,
  readContact,
  readKept,
  readPhrase,
  readPresence,
  readQueues,
  seqOf,
} from "./payload";

const PHRASES_KEPT = 5;

export interface Live {
  /** The newest event taken in; null for a page that knows nothing yet. */
  lastSeq: number | null;
  calls: CallsState;
  presence: Presence;
  captions: Captions;
  queues: QueueNow[];
  /** Counts up when the list of missed calls changed. */
  missedVersion: number;
  /** The last phrases that supervisors are told of, newest last. */
  said: PhraseSaid[];
  /** The complaint of which this person was last told that it is late. */
  late: { complaint: string; code: string } | null;
}

export const blank: Live = {
  lastSeq: null,
  calls: noCalls,
  presence: atStart,
  captions: noCaptions,
  queues: [],
  missedVersion: 0,
  late: null,
  said: [],
};

/** Takes one event in. An event with a number that was already taken in changes nothing. */
export function reduce(live: Live, name: string, payload: unknown): Live {
  const seq = seqOf(payload);
  if (seq !== null) {
    if (live.lastSeq !== null && seq <= live.lastSeq) return live;
    live = { ...live, lastSeq: seq };
  }
  return settle(step(live, name, payload));
}

function step(live: Live, name: string, payload: unknown): Live {
  const body = (payload ?? {}) as Record<string, unknown>;
  switch (name) {
    case "call.ringing":
      return withCalls(live, { kind: "ringing", contact: readContact(payload) });
    case "call.dialling":
      return withCalls(live, { kind: "dialling", contact: readContact(payload) });
    case "call.updated":
      return withCalls(live, { kind: "updated", call: readCall(body.call) });
    case "call.recording":
      return withCalls(live, {
        kind: "kept",
        call: String(body.call ?? ""),
        kept: readKept(body),
      });
    case "call.consultation":
      return withCalls(live, { kind: "consultation", consultation: readConsultation(payload) });
    case "call.ended":
      return withCalls(live, {
        kind: "ended",
        call: String(typeof body.call === "object" ? readCall(body.call).id : body.call),
        reason: String(body.reason ?? ""),
        interaction: typeof body.interaction === "string" ? body.interaction : null,
      });
    case "agent.state":
      return changePresence(live, payload);
    case "caption": {
      const caption = readCaption(payload);
      return caption ? { ...live, captions: hear(live.captions, caption) } : live;
    }
    case "missed.changed":
      return { ...live, missedVersion: live.missedVersion + 1 };
    case "complaint.escalated":
      return {
        ...live,
        late: { complaint: String(body.complaint ?? ""), code: String(body.code ?? "") },
      };
    case "phrase.said": {
      const said = readPhrase(payload);
      return said ? { ...live, said: [...live.said.slice(1 - PHRASES_KEPT), said] } : live;
    }
    case "floor":
      return { ...live, queues: readQueues(payload) };
    default:
      return live;
  }
}

type Calls = Parameters<typeof reduceCalls>[1];

export function withCalls(live: Live, event: Calls): Live {
  return { ...live, calls: reduceCalls(live.calls, event) };
}

function changePresence(live: Live, payload: unknown): Live {
  const before = live.presence.state;
  const presence = reducePresence(live.presence, readPresence(payload));
  const next = { ...live, presence };
  const leftWrapUp = before === "wrap_up" && presence.state !== "wrap_up";
  // Rings no longer at me: the offer is over even if the call itself lives on elsewhere.
  const unoffered = before === "ringing" && !["ringing", "on_call"].includes(presence.state);
  return {
    ...next,
    calls: {
      ...next.calls,
      after: leftWrapUp ? null : next.calls.after,
      offer: unoffered ? null : next.calls.offer,
    },
  };
}

/** Captions follow the call on the screen and stay through its wrap-up, no longer. */
function settle(live: Live): Live {
  const shown = live.calls.current ?? live.calls.after;
  const captions = captionsOf(live.captions, shown?.call.id ?? null);
  return captions === live.captions ? live : { ...live, captions };
}

/** Takes in the server's answer to `resume`: how things stand, whatever was missed. */
export function takeSnapshot(live: Live, ack: Record<string, unknown>): Live {
  let next = live;
  const seq = typeof ack.seq === "number" ? ack.seq : null;
  // Older than what has arrived meanwhile: the events are right, not this picture.
  if (seq !== null && live.lastSeq !== null && seq < live.lastSeq) return live;
  if (seq !== null && seq > (next.lastSeq ?? -1)) next = { ...next, lastSeq: seq };
  if (ack.agent && typeof ack.agent === "object") {
    next = { ...next, presence: reducePresence(next.presence, readPresence(ack.agent)) };
  }
  if ("ringing" in ack || "call" in ack) {
    const contactOf = (value: unknown) =>
      value && typeof value === "object"
        ? readContact("call" in value ? value : { call: value })
        : null;
    const call = contactOf(ack.call);
    const ended = call?.call.state === "ended" ? call : null;
    const wrapping = next.presence.state === "wrap_up";
    next = withCalls(next, {
      kind: "snapshot",
      offer: contactOf(ack.ringing),
      current: ended ? null : call,
      after: wrapping ? (ended ?? next.calls.after ?? next.calls.current) : null,
      consultation: readConsultation(ack.consultation),
    });
  }
  return settle(next);
}
