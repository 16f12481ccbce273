/** What both sides say, as a pure fold of partial and final captions. */

import type { Leg, Utterance } from "@/api/types";

export interface Caption {
  id: string;
  leg: Leg;
  text: string;
  t0: number;
  t1: number;
  final: boolean;
  masks?: string[];
}

export interface CaptionEvent extends Caption {
  call: string;
}

export interface Captions {
  call: string | null;
  lines: Caption[];
}

export const noCaptions: Captions = { call: null, lines: [] };

/** Another call begins: an empty page. The same call: nothing changes. */
export function captionsOf(state: Captions, call: string | null): Captions {
  return state.call === call ? state : { call, lines: [] };
}

/**
 * A partial grows its line, a final closes it for good; lines stand in the order of speech.
 * A partial that comes after its final, or belongs to another call, changes nothing.
 */
export function hear(state: Captions, event: CaptionEvent): Captions {
  if (event.call !== state.call) return state;
  const { call: _call, ...line } = event;
  const known = state.lines.find((l) => l.id === line.id);
  if (known?.final && !line.final) return state;
  const others = known ? state.lines.filter((l) => l.id !== line.id) : state.lines;
  if (line.text.trim() === "") return { ...state, lines: others };
  return { ...state, lines: insert(others, line) };
}

/** Puts the stored utterances under what has been heard meanwhile; finals heard here stay. */
export function merge(state: Captions, call: string, stored: Utterance[]): Captions {
  if (state.call !== call) return state;
  return stored.reduce<Captions>((captions, { id, leg, text, t0, t1, masks }) => {
    return hear(captions, { call, id, leg, text, t0, t1, masks: masks ?? [], final: true });
  }, state);
}

function insert(lines: Caption[], line: Caption): Caption[] {
  // Nearly always the newest: search from the end.
  let at = lines.length;
  while (at > 0 && after(lines[at - 1] as Caption, line)) at -= 1;
  return [...lines.slice(0, at), line, ...lines.slice(at)];
}

function after(a: Caption, b: Caption): boolean {
  return a.t0 > b.t0 || (a.t0 === b.t0 && a.id > b.id);
}
