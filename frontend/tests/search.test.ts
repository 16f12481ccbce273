import { describe, expect, it } from "vitest";
import type { Sentence } from "@/api/types";
import { momentsOf } from "@/interactions/moments";
import { blank, reduce } from "@/live/reduce";
import { bodyOf, draftOf } from "@/phrases/draft";
import { addressOf, askedIn, placeOf, questionOf } from "@/search/search";

describe("what is asked", () => {
  it("stands in the address and comes back from it", () => {
    const query = { q: '"cancel my contract"', leg: "customer", mine: "1", period: "week" };
    const asked = askedIn(query);
    expect(addressOf(asked)).toEqual(query);
    expect(addressOf(askedIn({}))).toEqual({});
  });

  it("goes to the server without what is open", () => {
    const now = new Date(2026, 10, 26, 15, 30);
    const question = questionOf({ ...askedIn({ q: " refund ", period: "week" }) }, now);
    expect(question.q).toBe("refund");
    expect(question.leg).toBeUndefined();
    expect(question.agent).toBeUndefined();
    expect(question.from).toBe(new Date(2026, 10, 20).toISOString());
  });

  it("leads to the call, playing from a breath before the sentence", () => {
    const at = (t0: number) => placeOf({ t0, interaction: { id: "i1" } } as Sentence);
    expect(at(12.34)).toEqual({
      name: "call",
      params: { id: "i1" },
      query: { t: "11.8", play: "1" },
    });
    expect(at(0.2).query.t).toBe("0");
  });
});

describe("a phrase that was said", () => {
  const payload = { seq: 7, interaction: "i1", name: "Leaving", phrase: "cancel", t0: 3, leg: "x" };

  it("is told once, with its call and its second", () => {
    const once = reduce(blank, "phrase.said", payload);
    expect(once.said).toEqual([{ ...payload, leg: "customer", severity: "warning" }]);
    expect(reduce(once, "phrase.said", payload)).toBe(once);
    expect(reduce(blank, "phrase.said", { seq: 1 }).said).toEqual([]);
  });

  it("pushes the oldest out", () => {
    let live = blank;
    for (let seq = 1; seq <= 8; seq += 1) live = reduce(live, "phrase.said", { ...payload, seq });
    expect(live.said.map((one) => one.seq)).toEqual([4, 5, 6, 7, 8]);
  });

  it("is a moment beside the others", () => {
    const phrase = {
      t0: 3,
      t1: 5,
      leg: "customer" as const,
      phrase: "cancel",
      name: "Leaving",
      severity: "urgent" as const,
    };
    const moments = momentsOf([{ kind: "hold", t0: 1, t1: 2 }], [], [phrase]);
    expect(moments.map((one) => one.kind)).toEqual(["hold", "phrase"]);
    expect(moments[1]?.phrase).toBe(phrase);
  });
});

describe("a list of phrases", () => {
  it("is written one phrase a line", () => {
    const draft = { ...draftOf(null, "fa"), name: " رفتن ", lines: " لغو قرارداد \n\n شکایت* " };
    expect(bodyOf(draft)).toEqual({
      name: "رفتن",
      language: "fa",
      severity: "warning",
      leg: null,
      phrases: ["لغو قرارداد", "شکایت*"],
      notice: true,
    });
  });
});
