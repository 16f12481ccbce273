/** The agent's call, as a pure fold of what the server tells. */

import type { CustomerBrief, Incident, Match } from "@/api/types";

export type CallState =
  "queued" | "ringing" | "dialling" | "alerting" | "talking" | "held" | "ended";

export interface Call {
  id: string;
  state: CallState;
  direction: "inbound" | "outbound";
  from: string | null;
  to: string;
  queue: string | null;
  startedAt: string;
  answeredAt: string | null;
  agent: string | null;
  kept: Kept;
}

/** Whether the call's sound is kept now. */
export interface Kept {
  recording: "off" | "running" | "paused" | "failed";
  consent: "given" | "declined" | "not_asked" | null;
  /** When a pause ends by itself. */
  resumesAt: string | null;
}

/** Also of a call that a tab remembers from before it was told of recordings. */
const NOTHING_KEPT: Kept = { recording: "off", consent: null, resumesAt: null };

/** As agents read it: why nothing is kept comes before that nothing is. */
export function keptState(
  contact: Contact,
): Kept["recording"] | "never" | "declined" | "not_asked" {
  const { recording, consent, resumesAt } = contact.call.kept ?? NOTHING_KEPT;
  if (contact.policy === "never") return "never";
  if (consent === "declined" || consent === "not_asked") return consent;
  return recording === "paused" && resumesAt === null ? "off" : recording;
}

export interface Caller {
  number: string | null;
  name: string | null;
  country: string | null;
  /** The number that was dialled before the call was diverted to us. */
  divertedFrom?: string | null;
  /** What a trusted network found of the number (STIR/SHAKEN). */
  verstat?: Verstat | null;
}

export type Verstat = "passed" | "failed" | "none";

export type Trouble = Pick<
  Incident,
  "id" | "cause" | "product" | "title" | "advice" | "complaints"
>;

export interface Named {
  id: string;
  name: string;
}

/**
 * A colleague who is asked beside a call: it rings there, the two talk, the colleague waits while
 * the other is with the customer (held), or all three talk.
 */
export interface Consultation {
  call: string;
  state: "ringing" | "talking" | "held" | "joined" | "ended";
  /** Whose call it is. */
  agent: Named;
  /** Somebody outside has no id; the name is the number then. */
  colleague: Named;
  /** Outside, in E.164; null for a colleague. */
  number?: string | null;
  /** Why it ended. */
  reason: string | null;
}

/** A call with all that is known of who calls: what a pop shows. */
export interface Contact {
  call: Call;
  caller: Caller;
  matches: Match[];
  /** Trouble that several customers have; the caller may have it too. */
  incidents?: Trouble[];
  queue: string | null;
  policy: string | null;
  interaction: string | null;
  /** Whom the agent, or a single sure match, says the caller is. */
  customer: CustomerBrief | null;
  /** The colleague whose call it is, who asks me; null: the call is to be mine. */
  askedBy?: Named | null;
  /** When this page first heard of it, milliseconds; for the ring's age. */
  seenAt: number;
  seq: number | null;
}

export interface CallsState {
  /** Rings at me and waits for Answer or Decline. */
  offer: Contact | null;
  /** The conversation, talking or on hold. */
  current: Contact | null;
  /** The conversation that has just ended and is being wrapped up. */
  after: Contact | null;
  /** A colleague who is asked in the conversation; of an older tab perhaps not there. */
  consultation?: Consultation | null;
  /** Why the last offer or call went away; a word for the screen. */
  lastEnd: { call: string; reason: string; answered: boolean } | null;
}

export type CallEvent =
  | { kind: "ringing"; contact: Contact }
  | { kind: "dialling"; contact: Contact }
  | { kind: "updated"; call: Call }
  | { kind: "kept"; call: string; kept: Kept }
  | { kind: "ended"; call: string; reason: string; interaction: string | null }
  | { kind: "consultation"; consultation: Consultation | null }
  | { kind: "customer"; call: string; customer: CustomerBrief | null }
  | {
      kind: "snapshot";
      offer: Contact | null;
      current: Contact | null;
      after: Contact | null;
      consultation: Consultation | null;
    }
  | { kind: "wrapped" };

export const noCalls: CallsState = {
  offer: null,
  current: null,
  after: null,
  consultation: null,
  lastEnd: null,
};

/** The customer a contact opens with: the only match, or none when there is a choice. */
export function likelyCustomer(matches: Match[]): CustomerBrief | null {
  return matches.length === 1 ? (matches[0]?.customer ?? null) : null;
}

export function reduceCalls(state: CallsState, event: CallEvent): CallsState {
  switch (event.kind) {
    case "ringing":
      return ring(state, event.contact);
    case "dialling":
      return dial(state, event.contact);
    case "updated":
      return update(state, event.call);
    case "kept":
      return keep(state, event.call, event.kept);
    case "ended":
      return end(state, event.call, event.reason, event.interaction);
    case "consultation":
      return { ...state, consultation: event.consultation };
    case "customer":
      return choose(state, event.call, event.customer);
    case "wrapped":
      return { ...state, after: null };
    case "snapshot":
      return snapshot(state, event);
  }
}

function ring(state: CallsState, contact: Contact): CallsState {
  const { current } = state;
  if (current?.call.id !== contact.call.id) return { ...state, offer: contact };
  // I was asked about it and it is mine now: I talk already, and the note is mine to write.
  const { interaction, policy, queue } = contact;
  return { ...state, current: { ...current, interaction, policy, queue, askedBy: null } };
}

/** A call of mine: it is on the screen from the first moment, nothing is to be answered. */
function dial(state: CallsState, contact: Contact): CallsState {
  if (state.current?.call.id === contact.call.id) {
    return { ...state, current: { ...contact, call: state.current.call } };
  }
  return { ...state, current: contact, after: null };
}

function update(state: CallsState, call: Call): CallsState {
  const known = [state.offer, state.current].find((c) => c?.call.id === call.id);
  if (call.state === "ended") return state; // `call.ended` says how
  if (known?.call.agent && call.agent && known.call.agent !== call.agent) {
    // It rings, or talks, at somebody else now; of what I talked in, `call.ended` says so.
    return known === state.offer ? { ...state, offer: null } : state;
  }
  if (call.state === "ringing" || call.state === "queued") {
    if (state.offer?.call.id !== call.id) return state;
    // Back in the queue: the offer to this agent is over.
    if (call.state === "queued") return { ...state, offer: null };
    return { ...state, offer: { ...state.offer, call } };
  }
  const contact = known ? { ...known, call } : bare(call);
  const offer = state.offer?.call.id === call.id ? null : state.offer;
  return { ...state, offer, current: contact, after: null };
}

function end(
  state: CallsState,
  id: string,
  reason: string,
  interaction: string | null,
): CallsState {
  const lastEnd = { call: id, reason, answered: state.current?.call.id === id };
  if (state.consultation?.call === id) state = { ...state, consultation: null };
  if (state.offer?.call.id === id) return { ...state, offer: null, lastEnd };
  if (state.current?.call.id !== id) return state;
  // A colleague's call, about which I was asked: nothing is left for me to write.
  if (reason === "consulted") return { ...state, current: null, lastEnd };
  const after: Contact = {
    ...state.current,
    call: { ...state.current.call, state: "ended" },
    interaction: interaction ?? state.current.interaction,
  };
  return { ...state, current: null, after, lastEnd };
}

function keep(state: CallsState, id: string, kept: Kept): CallsState {
  const on = (contact: Contact | null) =>
    contact?.call.id === id ? { ...contact, call: { ...contact.call, kept } } : contact;
  return { ...state, offer: on(state.offer), current: on(state.current) };
}

function choose(state: CallsState, id: string, customer: CustomerBrief | null): CallsState {
  const on = (contact: Contact | null) =>
    contact?.call.id === id ? { ...contact, customer } : contact;
  return { ...state, offer: on(state.offer), current: on(state.current), after: on(state.after) };
}

function snapshot(
  state: CallsState,
  now: Pick<CallsState, "offer" | "current" | "after" | "consultation">,
): CallsState {
  const richer = (fresh: Contact | null): Contact | null => {
    const known = [state.offer, state.current, state.after].find(
      (c) => c && c.call.id === fresh?.call.id,
    );
    if (!fresh || !known) return fresh;
    return {
      ...fresh,
      customer: known.customer ?? fresh.customer,
      matches: fresh.matches.length ? fresh.matches : known.matches,
      interaction: fresh.interaction ?? known.interaction,
      policy: fresh.policy ?? known.policy,
    };
  };
  return {
    offer: richer(now.offer),
    current: richer(now.current),
    after: richer(now.after),
    consultation: now.consultation ?? null,
    lastEnd: state.lastEnd,
  };
}

/** A contact of which only the call itself is known. */
export function bare(call: Call): Contact {
  return {
    call,
    caller: {
      number: call.direction === "outbound" ? call.to : call.from,
      name: null,
      country: null,
    },
    matches: [],
    queue: call.queue,
    policy: null,
    interaction: null,
    customer: null,
    seenAt: Date.now(),
    seq: null,
  };
}

export type CallTone = "idle" | "ringing" | "dialling" | "talking" | "held" | "wrap_up";

/** Which accent the desktop wears. */
export function callTone(state: CallsState): CallTone {
  const now = state.current?.call.state;
  if (now === "dialling" || now === "alerting") return "dialling";
  if (now) return now === "held" ? "held" : "talking";
  if (state.offer) return "ringing";
  if (state.after) return "wrap_up";
  return "idle";
}
