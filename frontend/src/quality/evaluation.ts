import type { Evaluation, EvaluationQuestion } from "@/api/types";

/** An answer on the page: `value` undefined until it is given, null: does not apply. */
export interface Given {
  value: number | null | undefined;
  t0: number | null;
  remark: string;
}
export type Answers = Record<string, Given>;

export const NOTHING: Given = { value: undefined, t0: null, remark: "" };

/** The answers of an evaluation as it was loaded. */
export function answersOf(evaluation: Pick<Evaluation, "answers">): Answers {
  return Object.fromEntries(
    evaluation.answers.map(({ question, value, t0, remark }) => [
      question,
      { value: value ?? null, t0: t0 ?? null, remark },
    ]),
  );
}

/** What is sent to be kept: remarks and evidence go with an answer. */
export function kept(answers: Answers) {
  return Object.entries(answers).flatMap(([question, { value, t0, remark }]) =>
    value === undefined ? [] : [{ question, value, t0, remark }],
  );
}

export const questionsOf = (evaluation: Pick<Evaluation, "sections">): EvaluationQuestion[] =>
  evaluation.sections.flatMap((section) => section.questions);

/** The answers that a question takes: 0 to its scale, then null where it may not apply. */
export function choicesOf(question: Pick<EvaluationQuestion, "scale" | "optional">) {
  const values: (number | null)[] = Array.from({ length: question.scale + 1 }, (_, n) => n);
  return question.optional ? [...values, null] : values;
}

type Press = Pick<KeyboardEvent, "code" | "ctrlKey" | "metaKey" | "altKey">;

/** The answer that a key gives: its digit, or N for "does not apply"; undefined: none. */
export function answerOfKey(
  press: Press,
  question: Pick<EvaluationQuestion, "scale" | "optional">,
): number | null | undefined {
  if (press.ctrlKey || press.metaKey || press.altKey) return undefined;
  const answer =
    press.code === "KeyN" ? null : Number(/^(?:Digit|Numpad)(\d)$/.exec(press.code)?.[1] ?? NaN);
  return choicesOf(question).find((choice) => choice === answer);
}

/** Where to go after an answer: the next question without one, from the beginning if need be. */
export function nextOpen(
  questions: readonly Pick<EvaluationQuestion, "id">[],
  answers: Answers,
  after: string,
): string | null {
  const at = questions.findIndex((one) => one.id === after);
  const order = [...questions.slice(at + 1), ...questions.slice(0, at)];
  return order.find((one) => answers[one.id]?.value === undefined)?.id ?? null;
}

/** How a score is to be seen: good, fair, poor; nothing where there is none. */
export function toneOf(score: number | null | undefined, knockedOut: boolean): string {
  if (score === null || score === undefined) return "text-soft";
  if (knockedOut || score < 60) return "text-danger-ink";
  return score < 80 ? "text-held-ink" : "text-talking-ink";
}
