import { describe, expect, it } from "vitest";
import { actionOf } from "@/app/shortcuts";
import { neededFor, STAGES, stepsFrom } from "@/complaints/stages";
import { shrink } from "@/interactions/peaks";
import { spokenAt } from "@/interactions/transcript";
import { readCaption, readContact } from "@/live/payload";

const press = (code: string, keys: Partial<KeyboardEvent> = {}) => ({
  code,
  ctrlKey: false,
  metaKey: false,
  shiftKey: false,
  altKey: false,
  ...keys,
});

describe("shortcuts", () => {
  it("go by the place of the key, so Persian and Hebrew keyboards have them", () => {
    expect(actionOf(press("KeyA", { ctrlKey: true, shiftKey: true }), true)).toBe("answer");
    expect(actionOf(press("KeyM", { ctrlKey: true, shiftKey: true }), false)).toBe("mute");
  });

  it("of a single key are silent while somebody writes", () => {
    expect(actionOf(press("Slash"), false)).toBe("search");
    expect(actionOf(press("Slash"), true)).toBeNull();
    expect(actionOf(press("Slash", { shiftKey: true }), false)).toBe("help");
  });

  it("leave other chords alone", () => {
    expect(actionOf(press("KeyA", { ctrlKey: true }), false)).toBeNull();
    expect(
      actionOf(press("KeyA", { ctrlKey: true, shiftKey: true, altKey: true }), false),
    ).toBeNull();
  });
});

describe("the player's helpers", () => {
  it("find what is being said", () => {
    const items = [
      { id: "a", t0: 0.5 },
      { id: "b", t0: 4 },
      { id: "c", t0: 9 },
    ];
    expect([0, 0.5, 3.9, 4, 100].map((s) => spokenAt(items, s))).toEqual([
      null,
      "a",
      "a",
      "b",
      "c",
    ]);
  });

  it("keep the loudest of each stretch of the waveform", () => {
    expect(shrink([0, 9, 1, 2, 8, 3], 3)).toEqual([9, 2, 8]);
    expect(shrink([1, 2], 3)).toEqual([1, 2]);
  });
});

describe("complaints", () => {
  it("cannot be closed before the customer was told", () => {
    const ways = STAGES.filter((stage) => stepsFrom(stage).includes("closed"));
    expect(ways).toEqual(["communicated"]);
    expect(neededFor("responded")).toBe("decision");
    expect(neededFor("communicated")).toBe("channel");
  });
});

describe("payloads", () => {
  it("of a withheld number show no number", () => {
    const contact = readContact({
      seq: 3,
      call: { id: "k", from: null },
      caller: { number: null },
    });
    expect(contact.caller.number).toBeNull();
    expect(contact.seq).toBe(3);
  });

  it("say what the network found of the number and who diverted the call", () => {
    const call = { id: "k", from: "+1" };
    const told = readContact({ call, caller: { verstat: "failed", diverted_from: "+2" } });
    expect([told.caller.verstat, told.caller.divertedFrom]).toEqual(["failed", "+2"]);
    const odd = readContact({ call, caller: { verstat: "<b>" } });
    expect([odd.caller.verstat, odd.caller.divertedFrom]).toEqual([null, null]);
  });

  it("without an id are no captions", () => {
    expect(readCaption({ call: "k", text: "x" })).toBeNull();
  });
});
