import { describe, expect, it } from "vitest";
import type { Comment } from "@/api/types";
import { passed, widest } from "@/interactions/conversation";
import { momentsOf, neighbour, skipTo } from "@/interactions/moments";
import { folded } from "@/interactions/transcript";

const side = (seconds: number) => ({ seconds, share: 0, longest: 0, words: 0, pace: null });

describe("the figures of a conversation", () => {
  it("are parts of the time that add up to it", () => {
    const parts = passed({
      agent: side(30),
      customer: side(20),
      both_seconds: 5,
      silence_seconds: 15,
      hold_seconds: 0,
    });
    expect(parts.map((p) => [p.name, p.seconds])).toEqual([
      ["agent", 25],
      ["both", 5],
      ["customer", 15],
      ["silence", 15],
    ]);
    expect(parts.reduce((sum, p) => sum + p.share, 0)).toBeCloseTo(1);
  });

  it("of a call in which nothing was measured are no parts", () => {
    const nothing = { agent: side(0), customer: side(0), both_seconds: 0 };
    expect(passed({ ...nothing, silence_seconds: 0, hold_seconds: 0 })).toEqual([]);
    expect(widest(0, null, undefined)).toBe(1);
    expect(widest(3, 7)).toBe(7);
  });
});

const comment = (id: string, t0: number, t1: number | null = null): Comment => ({
  id,
  t0,
  t1,
  text: "well done",
  by: null,
  at: "2026-11-26T00:00:00Z",
  mine: true,
});

describe("moments", () => {
  const marks = [
    { kind: "hold" as const, t0: 10, t1: 20 },
    { kind: "talk_over" as const, t0: 3, t1: 4 },
  ];
  const moments = momentsOf(marks, [comment("c1", 12), comment("c2", 1, 5)]);

  it("are marks and comments in the order of time", () => {
    expect(moments.map((one) => [one.kind, one.t0, one.t1])).toEqual([
      ["comment", 1, 5],
      ["talk_over", 3, 4],
      ["hold", 10, 20],
      ["comment", 12, null],
    ]);
  });

  it("are walked through one after the other", () => {
    expect(neighbour(moments, 0, 1)?.t0).toBe(1);
    expect(neighbour(moments, 3, 1)?.t0).toBe(10);
    expect(neighbour(moments, 12, 1)).toBeNull();
    expect(neighbour(moments, 12, -1)?.t0).toBe(10);
    expect(neighbour(moments, 2, -1)).toBeNull();
  });

  it("silence is skipped, but for a breath at both ends", () => {
    const quiet = [
      [2, 3],
      [10, 16],
    ];
    expect(skipTo(quiet, 9)).toBeNull();
    expect(skipTo(quiet, 10.1)).toBeNull();
    expect(skipTo(quiet, 10.5)).toBeCloseTo(15.6);
    expect(skipTo(quiet, 15.6)).toBeNull();
    expect(skipTo([], 5)).toBeNull();
  });
});

describe("the search in a call", () => {
  it("forgives letter forms, points, joiners and digits", () => {
    expect(folded("\u0634\u0631\u0643\u062a")).toBe(folded("\u0634\u0631\u06a9\u062a"));
    expect(folded("\u05e9\u05b8\u05c1\u05dc\u05d5\u05b9\u05dd")).toBe(
      folded("\u05e9\u05dc\u05d5\u05de"),
    );
    expect(folded("\u0645\u06cc\u200c\u0631\u0648\u062f \u06f4\u0668")).toBe(
      "\u0645\u06cc \u0631\u0648\u062f 48",
    );
    expect(folded("Don't STOP")).toBe("dont stop");
  });
});
