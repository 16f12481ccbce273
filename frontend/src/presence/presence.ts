/** The agent's own state, as a pure fold of `agent.state`. */

import type { AgentStateName, Device } from "@/api/types";

export interface Presence {
  state: AgentStateName;
  since: string | null;
  reason: string | null;
  /** The state chosen for the time after the call. */
  next: AgentStateName | null;
  /** The end of wrap-up. */
  until: string | null;
  call: string | null;
  /** Whether telephony holds an audio leg of ours, or knows our desk phone; null while unknown. */
  audio: boolean | null;
  /** What calls come to; null while the server has not said. */
  device: Device | null;
}

export const atStart: Presence = {
  state: "offline",
  since: null,
  reason: null,
  next: null,
  until: null,
  call: null,
  audio: null,
  device: null,
};

/** States a person chooses; the others are the system's. */
export const CHOSEN: readonly AgentStateName[] = [
  "available",
  "break",
  "training",
  "back_office",
  "offline",
];

export const BREAK_REASONS = ["coffee", "lunch", "personal", "meeting"] as const;

export function reducePresence(
  state: Presence,
  change: Partial<Presence> & { state: AgentStateName },
): Presence {
  return {
    ...state,
    reason: null,
    next: null,
    until: null,
    call: null,
    ...change,
    since: change.since ?? (change.state === state.state ? state.since : null),
  };
}

/** During a call a chosen state is only noted for later. */
export function isBusy(presence: Presence): boolean {
  return ["ringing", "on_call", "wrap_up"].includes(presence.state);
}
