import type { Utterance } from "@/api/types";

/** The id of the utterance that is being said at `seconds`, or was said last; by bisection. */
export function spokenAt(items: Pick<Utterance, "id" | "t0">[], seconds: number): string | null {
  let [low, high] = [0, items.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((items[middle]?.t0 ?? 0) <= seconds) low = middle + 1;
    else high = middle;
  }
  return items[low - 1]?.id ?? null;
}
