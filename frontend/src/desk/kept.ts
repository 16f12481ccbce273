/** Drafts in this browser: what was typed in the last seconds, whatever becomes of the page. */

import { api } from "@/api";

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
}

const PREFIX = "callcenter.draft.";

export function kept(call: string): Partial<Kept> {
  try {
    return (JSON.parse(localStorage.getItem(PREFIX + call) ?? "null") as Kept | null) ?? {};
  } catch {
    return {};
  }
}

export function keep(call: string, draft: Kept): void {
  localStorage.setItem(PREFIX + call, JSON.stringify(draft));
}

export function forget(call: string): void {
  localStorage.removeItem(PREFIX + call);
}

/** Calls of which this browser has a draft. */
export function keptCalls(): string[] {
  return Object.keys(localStorage)
    .filter((key) => key.startsWith(PREFIX))
    .map((key) => key.slice(PREFIX.length));
}

/**
 * Before somebody else sits down here: what the server has leaves this browser, what it lacks is
 * sent to it. Returns the calls whose draft is still only here: a complaint that nobody has
 * registered, or a note that could not be sent.
 */
export async function handIn(): Promise<string[]> {
  const calls = keptCalls();
  const done = await Promise.all(calls.map((call) => isSafe(call, kept(call))));
  const left = calls.filter((_, at) => !done[at]);
  calls.filter((call) => !left.includes(call)).forEach(forget);
  return left;
}

async function isSafe(call: string, draft: Partial<Kept>): Promise<boolean> {
  const { subject = "", description = "" } = draft.complaint ?? {};
  const notes = await hasNotes(call, draft.notes ?? "");
  return notes && !subject.trim() && !description.trim();
}

async function hasNotes(call: string, notes: string): Promise<boolean> {
  if (!notes.trim()) return true;
  try {
    const page = await api.interactions({ call_id: call, limit: 1 });
    const id = page.items[0]?.id;
    if (!id) return false;
    const record = await api.interaction(id);
    if (record.draft === notes || record.notes === notes) return true;
    await api.changeInteraction(id, { draft: notes });
    return true;
  } catch {
    return false;
  }
}
