/** What happened in a call and what was remarked on it, in the order of time. Pure. */

import type { Comment, Conversation } from "@/api/types";

export type Mark = Conversation["marks"][number];
export type Said = Conversation["phrases"][number];
export interface Moment {
  id: string;
  kind: Mark["kind"] | "phrase" | "comment";
  t0: number;
  t1: number | null;
  comment: Comment | null;
  phrase?: Said;
}

/** Marks, comments and phrases of a call; seconds from the answer. */
export function momentsOf(
  marks: readonly Mark[],
  comments: readonly Comment[],
  phrases: readonly Said[] = [],
): Moment[] {
  return [
    ...phrases.map((phrase, place) => ({
      id: `phrase-${place}`,
      kind: "phrase" as const,
      t0: phrase.t0,
      t1: phrase.t1,
      comment: null,
      phrase,
    })),
    ...marks.map((mark, place) => ({ ...mark, id: `${mark.kind}-${place}`, comment: null })),
    ...comments.map((comment) => ({
      id: comment.id,
      kind: "comment" as const,
      t0: comment.t0,
      t1: comment.t1 ?? null,
      comment,
    })),
  ].sort((a, b) => a.t0 - b.t0 || a.id.localeCompare(b.id));
}

const LEAD = 0.4; // seconds of a silence that stay at both of its ends, so that it sounds natural

/** Where to go on when second `at` lies in a stretch that is quiet; null: play on. */
export function skipTo(quiet: readonly (readonly number[])[], at: number): number | null {
  for (const [start = 0, end = 0] of quiet) {
    if (at >= start + LEAD && at < end - 2 * LEAD) return end - LEAD;
  }
  return null;
}

/** The moment before or after `at`: what is not at once the present one. */
export function neighbour(moments: readonly Moment[], at: number, step: 1 | -1): Moment | null {
  return step > 0
    ? (moments.find((one) => one.t0 > at + 0.5) ?? null)
    : (moments.findLast((one) => one.t0 < at - 1.5) ?? null);
}
