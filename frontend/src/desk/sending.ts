/** Unsaved notes on their way to the server, which refuses those that others have overtaken. */

import { api, Problem } from "@/api";
import type { Interaction } from "@/api/types";

/** What a draft stands on: the record's version, and the notes that were saved then. */
export interface Base {
  version: number;
  notes: string;
}

export const baseOf = ({ version, notes }: Interaction): Base => ({
  version: version ?? 1,
  notes: notes ?? "",
});

export const isOvertaken = (problem: unknown): boolean =>
  problem instanceof Problem && problem.body.status === 409;

/** What is kept of both: a colleague's notes above, mine below. */
export function below(theirs: string, mine: string): string {
  if (!theirs || mine.includes(theirs)) return mine;
  return mine.trim() ? `${theirs}\n\n${mine}` : theirs;
}

/**
 * Saves a draft and returns what the next one stands on. Over another draft (of this person's
 * other tab, of a colleague in the same call) the later one holds; over notes that were saved
 * since, none does: throws the server's 409.
 */
export async function sendDraft(id: string, text: string, base: Base | null): Promise<Base> {
  try {
    return baseOf(await api.changeInteraction(id, { draft: text, version: base?.version }));
  } catch (problem) {
    if (!base || !isOvertaken(problem)) throw problem;
    const record = await api.interaction(id);
    // Saving notes, and an erasure, take the draft away: only another draft leaves one.
    if (typeof record.draft !== "string" || record.notes !== base.notes) throw problem;
    return baseOf(await api.changeInteraction(id, { draft: text, version: record.version }));
  }
}
