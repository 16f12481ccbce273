import { describe, expect, it } from "vitest";
import { formatPercent } from "@/i18n/format";
import { gradeOf, lossOf } from "@/interactions/quality";

describe("sound quality", () => {
  it("is graded as people would", () => {
    expect([4.4, 4.0, 3.9, 3.6, 3.5, 1, null, undefined].map(gradeOf)).toEqual([
      "good", "good", "fair", "fair", "poor", "poor", "unknown", "unknown",
    ]); // prettier-ignore
  });

  it("counts what was lost and what came too late", () => {
    expect(lossOf({ received: 95, lost: 5, late: 5 })).toBeCloseTo(0.1);
    expect(lossOf({ received: 0, lost: 0, late: 0 })).toBeNull();
    expect(lossOf({ received: 1, lost: 0, late: 9 })).toBe(1);
  });

  it("shows shares in the language's own digits", () => {
    expect(formatPercent(0.0123, "en")).toBe("1.2%");
    expect(formatPercent(0.25, "en")).toBe("25%");
    expect(formatPercent(0.25, "fa")).toMatch(/۲۵/);
  });
});
