import { describe, expect, it } from "vitest";
import { agreementOf, cellsOf, wordOf } from "@/quality/calibration";

describe("a calibration", () => {
  it("shows each judge's answer in the judge's own column", () => {
    const answers = [
      { judge: "b", value: 0, remark: "rude" },
      { judge: "a", value: null, remark: "" },
    ];
    expect(cellsOf({ answers }, ["a", "b", "c"])).toEqual([
      { value: null, remark: "" },
      { value: 0, remark: "rude" },
      { value: undefined, remark: "" },
    ]);
  });

  it("names yes, no and N/A, and leaves scales as numbers", () => {
    expect([1, 0, null, undefined].map((one) => wordOf(one, { scale: 1 }))).toEqual([
      "yes",
      "no",
      "na",
      null,
    ]);
    expect(wordOf(1, { scale: 4 })).toBeNull();
    expect(wordOf(null, { scale: 4 })).toBe("na");
  });

  it("counts the questions that all answered alike", () => {
    expect(agreementOf([{ size: 1 }, { size: 0 }, { size: 0 }, { size: 0.25 }])).toBe(0.5);
    expect(agreementOf([])).toBeNull();
  });
});
