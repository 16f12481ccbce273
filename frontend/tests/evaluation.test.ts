import { describe, expect, it } from "vitest";
import {
  answerOfKey,
  type Answers,
  answersOf,
  choicesOf,
  kept,
  nextOpen,
  toneOf,
} from "@/quality/evaluation";
import { moved, newSection, shareOf } from "@/quality/scorecard";

const key = (code: string, more = {}) => ({
  code,
  ctrlKey: false,
  metaKey: false,
  altKey: false,
  ...more,
});
const given = (value: number | null | undefined) => ({ value, t0: null, remark: "" });

describe("the answers of a question", () => {
  it("go from 0 to its scale, and to N/A where it may not apply", () => {
    expect(choicesOf({ scale: 1, optional: true })).toEqual([0, 1, null]);
    expect(choicesOf({ scale: 3, optional: false })).toEqual([0, 1, 2, 3]);
  });

  it("are given by digits of both blocks of keys, and by N", () => {
    const scale4 = { scale: 4, optional: true };
    expect(answerOfKey(key("Digit4"), scale4)).toBe(4);
    expect(answerOfKey(key("Numpad0"), scale4)).toBe(0);
    expect(answerOfKey(key("KeyN"), scale4)).toBeNull();
    expect(answerOfKey(key("Digit5"), scale4)).toBeUndefined();
    expect(answerOfKey(key("KeyN"), { scale: 4, optional: false })).toBeUndefined();
    expect(answerOfKey(key("Digit1", { ctrlKey: true }), scale4)).toBeUndefined();
    expect(answerOfKey(key("KeyK"), scale4)).toBeUndefined();
  });
});

describe("a draft", () => {
  const questions = ["a", "b", "c"].map((id) => ({ id }));

  it("goes on to the next open question, then to those that were left out", () => {
    const answers: Answers = { b: given(1) };
    expect(nextOpen(questions, answers, "a")).toBe("c");
    expect(nextOpen(questions, { ...answers, c: given(null) }, "c")).toBe("a");
    expect(nextOpen(questions, { a: given(0), b: given(1), c: given(null) }, "c")).toBeNull();
  });

  it("sends what was answered, N/A too, and reads it back the same", () => {
    const answers: Answers = {
      a: { value: null, t0: 3.5, remark: "why" },
      b: given(0),
      c: given(undefined),
    };
    const sent = kept(answers);
    expect(sent).toEqual([
      { question: "a", value: null, t0: 3.5, remark: "why" },
      { question: "b", value: 0, t0: null, remark: "" },
    ]);
    const { c: _, ...answered } = answers;
    expect(answersOf({ answers: sent })).toEqual(answered);
  });

  it("shows a knock-out as poor, whatever the number", () => {
    expect(toneOf(null, false)).toBe("text-soft");
    expect(toneOf(0, true)).toBe("text-danger-ink");
    expect(toneOf(59.9, false)).toBe("text-danger-ink");
    expect(toneOf(79.9, false)).toBe("text-held-ink");
    expect(toneOf(80, false)).toBe("text-talking-ink");
  });
});

describe("a scorecard", () => {
  it("is put in order one step at a time", () => {
    expect(moved(["a", "b", "c"], 1, -1)).toEqual(["b", "a", "c"]);
    expect(moved(["a", "b", "c"], 0, -1)).toEqual(["a", "b", "c"]);
    expect(moved(["a", "b", "c"], 2, 1)).toEqual(["a", "b", "c"]);
  });

  it("gives each section its share of the weights, and new ones an id of their own", () => {
    const [one, other] = [newSection(), { ...newSection(), weight: 3 }];
    expect(one.id).not.toBe(other.id);
    expect(one.questions).toHaveLength(1);
    expect(shareOf(one, [one, other])).toBe(0.25);
    expect(shareOf(one, [])).toBe(0);
  });
});
