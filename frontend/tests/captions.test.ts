import { describe, expect, it } from "vitest";
import {
  type CaptionEvent,
  type Captions,
  captionsOf,
  hear,
  merge,
  noCaptions,
} from "@/captions/captions";
import { partsOf, withoutCards } from "@/captions/masks";

const open = captionsOf(noCaptions, "k1");
const line = (id: string, text: string, t0: number, final: boolean, leg = "customer") =>
  ({ call: "k1", id, leg, text, t0, t1: t0 + 1, final }) as CaptionEvent;
const texts = (captions: Captions) => captions.lines.map((l) => l.text);

describe("masks", () => {
  it("say what each of them stands for", () => {
    expect(partsOf("it is ▇▇▇▇ and ▇▇▇▇", ["card", "contract"])).toEqual([
      { text: "it is " },
      { mask: "card" },
      { text: " and " },
      { mask: "other" },
    ]);
    expect(partsOf("▇▇▇▇", ["national_id"])).toEqual([{ mask: "national_id" }]);
    expect(partsOf("plain")).toEqual([{ text: "plain" }]);
    expect(partsOf("")).toEqual([]);
  });

  it.each([
    ["4111 1111 1111 1111", "▇▇▇▇"],
    ["pays by 5500-0000-0000-0004, soon", "pays by ▇▇▇▇, soon"],
    ["۴۱۱۱۱۱۱۱۱۱۱۱۱۱۱۱ و ٤١١١ ١١١١ ١١١١ ١١١١", "▇▇▇▇ و ▇▇▇▇"],
    ["order 4111111111111112", "order 4111111111111112"],
    ["call +4111111111111111", "call +4111111111111111"],
    ["0098 912 123 4567", "0098 912 123 4567"],
  ])("stand for cards in what this browser keeps: %s", (typed, kept) => {
    expect(withoutCards(typed)).toBe(kept);
  });

  it("stay with their caption, live and stored", () => {
    const stored = { id: "a", leg: "agent" as const, text: "▇▇▇▇", t0: 1, t1: 2, revision: 1 };
    const captions = merge(open, "k1", [{ ...stored, masks: ["card"], language: "en" }]);
    expect(captions.lines[0]?.masks).toEqual(["card"]);
  });
});

describe("captions", () => {
  it("grow in place and become final under the same id", () => {
    let captions = hear(open, line("a", "my", 1, false));
    captions = hear(captions, line("a", "my order", 1, false));
    captions = hear(captions, line("a", "My order is late.", 1, true));
    expect(captions.lines).toHaveLength(1);
    expect(captions.lines[0]).toMatchObject({ text: "My order is late.", final: true });
  });

  it("ignore a partial that comes after its final", () => {
    const done = hear(open, line("a", "Whole sentence.", 1, true));
    expect(hear(done, line("a", "Whole", 1, false))).toBe(done);
  });

  it("stand in the order of speech, whichever side is recognised first", () => {
    const events = [
      line("b", "second", 5, true, "agent"),
      line("c", "third", 9, false),
      line("a", "first", 1, true),
    ];
    expect(texts(events.reduce(hear, open))).toEqual(["first", "second", "third"]);
  });

  it("of another call change nothing", () => {
    expect(hear(open, { ...line("a", "x", 1, true), call: "k2" })).toBe(open);
  });

  it("that come out empty leave no line behind", () => {
    const heard = hear(open, line("a", "uh", 1, false));
    expect(hear(heard, line("a", "", 1, true)).lines).toEqual([]);
  });

  it("so far come back after a reload and join what is being said", () => {
    const growing = hear(open, line("b", "and then", 5, false));
    const stored = [
      {
        id: "a",
        leg: "agent" as const,
        text: "Hello.",
        t0: 1,
        t1: 2,
        revision: 1,
        language: "en",
        masks: [],
      },
    ];
    const captions = merge(growing, "k1", stored);
    expect(texts(captions)).toEqual(["Hello.", "and then"]);
    expect(captions.lines.map((l) => l.final)).toEqual([true, false]);
  });

  it("start afresh with another call only", () => {
    const heard = hear(open, line("a", "x", 1, true));
    expect(captionsOf(heard, "k1")).toBe(heard);
    expect(captionsOf(heard, "k2")).toEqual({ call: "k2", lines: [] });
  });
});
