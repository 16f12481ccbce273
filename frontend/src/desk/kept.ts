/**
 * Drafts in this browser: what was typed in the last seconds, whatever becomes of the page. Each
 * is under its person's name and sealed for that person.
 */

import { api } from "@/api";
import { drop, put, take } from "@/session/sealed";
import { type Base, sendDraft } from "./sending";

export interface ComplaintDraft {
  open: boolean;
  subject: string;
  description: string;
  severity: "low" | "normal" | "high" | "critical";
  quotes: string[];
}

export interface Kept {
  notes: string;
  disposition: string;
  complaint: ComplaintDraft;
  registered: string[];
  /** What the notes stand on; null until the server has told. */
  base: Base | null;
  /** What a colleague saved since they were begun. */
  theirs?: string;
}

const PREFIX = "callcenter.draft.";

/** Of this person's drafts; what other people left here is neither shown nor handed in. */
let mine = "";

/** Before anything else here: whose drafts these are. Their key is open already. */
export function openDrafts(person: string): void {
  mine = `${PREFIX}${person}.`;
  dropUnsealed();
}

/** Earlier versions kept them readable, and did not say whose they are. */
function dropUnsealed(): void {
  Object.keys(localStorage)
    .filter((name) => name.startsWith(PREFIX) && !name.slice(PREFIX.length).includes("."))
    .forEach((name) => localStorage.removeItem(name));
}

export async function kept(call: string): Promise<Partial<Kept>> {
  return ((await take(localStorage, mine + call)) as Kept | null) ?? {};
}

/** Resolves when it is written, or given up for a later one. */
export const keep = (call: string, draft: Kept): Promise<void> =>
  put(localStorage, mine + call, draft);

export const forget = (call: string): void => drop(localStorage, mine + call);

/** Calls of which this browser has a draft of this person's. */
export function keptCalls(): string[] {
  if (!mine) return [];
  return Object.keys(localStorage)
    .filter((name) => name.startsWith(mine))
    .map((name) => name.slice(mine.length));
}

/**
 * Before somebody else sits down here: what the server has leaves this browser, what it lacks is
 * sent to it. Returns the calls whose draft is still only here: a complaint that nobody has
 * registered, or a note that could not be sent or is older than what the server has.
 */
export async function handIn(): Promise<string[]> {
  const calls = keptCalls();
  const done = await Promise.all(calls.map(async (call) => isSafe(call, await kept(call))));
  const left = calls.filter((_, at) => !done[at]);
  calls.filter((call) => !left.includes(call)).forEach(forget);
  return left;
}

async function isSafe(call: string, draft: Partial<Kept>): Promise<boolean> {
  const { subject = "", description = "" } = draft.complaint ?? {};
  const notes = await hasNotes(call, draft.notes ?? "", draft.base ?? null);
  return notes && !subject.trim() && !description.trim();
}

async function hasNotes(call: string, notes: string, base: Base | null): Promise<boolean> {
  if (!notes.trim()) return true;
  try {
    const page = await api.interactions({ call_id: call, limit: 1 });
    const id = page.items[0]?.id;
    if (!id) return false;
    const record = await api.interaction(id);
    if (record.draft === notes || record.notes === notes) return true;
    await sendDraft(id, notes, base);
    return true;
  } catch {
    return false;
  }
}
