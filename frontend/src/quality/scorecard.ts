import type { ScorecardSection } from "@/api/types";

type Question = ScorecardSection["questions"][number];

const fresh = () => crypto.randomUUID().slice(0, 8);

export const newQuestion = (): Question => ({
  id: fresh(),
  text: "",
  help: "",
  points: 1,
  scale: 1,
  knock_out: false,
  optional: true,
});

export const newSection = (): ScorecardSection => ({
  id: fresh(),
  title: "",
  weight: 1,
  questions: [newQuestion()],
});

/** The list with the item at `place` moved one up (-1) or down (1); as it is at the ends. */
export function moved<T>(items: readonly T[], place: number, step: 1 | -1): T[] {
  const to = place + step;
  const list = [...items];
  const [a, b] = [list[place], list[to]];
  if (a === undefined || b === undefined) return list;
  [list[place], list[to]] = [b, a];
  return list;
}

/** A section's share of the whole, 0 to 1. */
export function shareOf(section: ScorecardSection, all: readonly ScorecardSection[]): number {
  const whole = all.reduce((sum, one) => sum + one.weight, 0);
  return whole ? section.weight / whole : 0;
}
