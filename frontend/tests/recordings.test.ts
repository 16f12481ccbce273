import { describe, expect, it } from "vitest";
import {
  count,
  type Filters,
  fromAddress,
  kept,
  MORE,
  NONE,
  question,
  restored,
  same,
  toAddress,
} from "@/recordings/filters";

const NOON = new Date(2026, 10, 26, 12);
const some = (change: Partial<Filters>): Filters => ({ ...NONE, ...change });
const defined = (found: object) =>
  Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined));

describe("the filters of recordings", () => {
  it("come back from the address as they went there, without what is open", () => {
    const filters = some({ words: " parcel ", queue: "sales", period: "week", min: "5" });
    const address = toAddress(filters);
    expect(address).toEqual({ words: "parcel", queue: "sales", period: "week", min: "5" });
    expect(same(fromAddress(address), filters)).toBe(true);
    expect(fromAddress({ shape: "round", queue: ["a", "b"], line: null })).toEqual(NONE);
    expect(toAddress(some({ from: "2026-03-20" }))).toEqual({});
  });

  it("ask for whole days from the first to the last", () => {
    const days = some({ period: "days", from: "2026-03-20", to: "2026-03-21" });
    expect(defined(question(days, NOON))).toEqual({
      from: new Date(2026, 2, 20).toISOString(),
      to: new Date(2026, 2, 22).toISOString(),
    });
    expect(defined(question(some({ period: "days", to: "2026-12-31" }), NOON))).toEqual({
      to: new Date(2027, 0, 1).toISOString(),
    });
    expect(defined(question(some({ period: "days", from: "yesterday" }), NOON))).toEqual({});
  });

  it("count periods from today", () => {
    const from = (period: string) => question(some({ period }), NOON).from;
    expect(from("today")).toBe(new Date(2026, 10, 26).toISOString());
    expect(from("week")).toBe(new Date(2026, 10, 20).toISOString());
    expect(from("month")).toBe(new Date(2026, 9, 28).toISOString());
    expect(from("")).toBe(undefined);
    expect(from("decade")).toBe(undefined);
  });

  it("take lengths in minutes and ask in seconds, and leave out what is no length", () => {
    const asked = (min: string, max = "") => defined(question(some({ min, max }), NOON));
    expect(asked("1.5", "60")).toEqual({ min_seconds: 90, max_seconds: 3600 });
    expect(asked("0")).toEqual({ min_seconds: 0 });
    for (const wrong of ["-1", "x", " ", "99999"]) expect(asked(wrong)).toEqual({});
  });

  it("are kept in a view and restored from it", () => {
    const filters = some({ period: "month", outcome: "failed", language: "he", max: "2.5" });
    expect(defined(kept(filters))).toEqual({
      period: "month",
      outcome: "failed",
      language: "he",
      max_seconds: 150,
    });
    const scored = some({ minScore: "0", maxScore: "59.5" });
    expect(defined(kept(scored))).toEqual({ min_score: 0, max_score: 59.5 });
    expect(restored(kept(scored))).toEqual(scored);
    expect(defined(kept(some({ minScore: "101", maxScore: "-1" })))).toEqual({});
    for (const one of [
      filters,
      some({ period: "days", from: "2026-03-20", agent: "a", customer: "c", line: "100" }),
      NONE,
    ]) {
      expect(restored(kept(one))).toEqual(one);
    }
    expect(restored({ words: null, min_seconds: null } as never)).toEqual(NONE);
  });

  it("are counted, and compared by what they ask for", () => {
    expect(count(NONE)).toBe(0);
    expect(count(some({ words: "x", line: "1", min: " " }))).toBe(2);
    expect(count(some({ words: "x", line: "1" }), MORE)).toBe(1);
    expect(same(some({ words: "x " }), some({ words: "x" }))).toBe(true);
    expect(same(some({ line: "1" }), NONE)).toBe(false);
  });
});
