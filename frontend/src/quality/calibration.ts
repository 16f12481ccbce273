import type { Calibration, EvaluationQuestion } from "@/api/types";

type Difference = Calibration["differences"][number];

/** One cell of the comparison: undefined is no answer, null: does not apply. */
export interface Cell {
  value: number | null | undefined;
  remark: string;
}

/** The answer of each judge, in the order of `judges` (ids). */
export function cellsOf(
  difference: Pick<Difference, "answers">,
  judges: readonly string[],
): Cell[] {
  const given = new Map(difference.answers.map((one) => [one.judge, one]));
  return judges.map((judge) => {
    const one = given.get(judge);
    return { value: one && (one.value ?? null), remark: one?.remark ?? "" };
  });
}

/** The key of the text of an answer: yes, no, N/A; null: it is a number of a scale. */
export function wordOf(
  value: number | null | undefined,
  question: Pick<EvaluationQuestion, "scale">,
): "yes" | "no" | "na" | null {
  if (value === null) return "na";
  if (value === undefined || question.scale > 1) return null;
  return value ? "yes" : "no";
}

/** How many questions everybody answered alike, 0 to 1; null: nothing to compare. */
export function agreementOf(differences: readonly Pick<Difference, "size">[]): number | null {
  if (!differences.length) return null;
  return differences.filter((one) => !one.size).length / differences.length;
}
