import { describe, expect, it } from "vitest";
import { dayOf, isLate, stepsOf } from "@/quality/coaching";

describe("a coaching task", () => {
  it("is done by the agent and checked by somebody else", () => {
    expect(stepsOf({ state: "open", about_me: true })).toEqual(["done"]);
    expect(stepsOf({ state: "open", about_me: false })).toEqual([]);
    expect(stepsOf({ state: "done", about_me: true })).toEqual([]);
    expect(stepsOf({ state: "done", about_me: false })).toEqual(["checked", "returned"]);
    expect(stepsOf({ state: "checked", about_me: false })).toEqual([]);
  });

  it("is late from the day after it was due, while it is open", () => {
    expect(isLate({ state: "open", due: "2026-12-01" }, "2026-12-01")).toBe(false);
    expect(isLate({ state: "open", due: "2026-12-01" }, "2026-12-02")).toBe(true);
    expect(isLate({ state: "done", due: "2026-12-01" }, "2026-12-02")).toBe(false);
    expect(isLate({ state: "open", due: null }, "2026-12-02")).toBe(false);
  });

  it("is due by the day where one sits", () => {
    expect(dayOf(new Date(2026, 11, 1, 0, 30))).toBe("2026-12-01");
    expect(dayOf(new Date(2026, 11, 1, 23, 30))).toBe("2026-12-01");
  });
});
