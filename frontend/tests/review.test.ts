import { describe, expect, it } from "vitest";
import { passed, widest } from "@/interactions/conversation";

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
