import { beforeEach, describe, expect, it, vi } from "vitest";
import { useCallActions } from "@/app/actions";

type Asked = "ringing" | "talking" | "held" | "joined";

const live = vi.hoisted(() => ({
  act: vi.fn(() => Promise.resolve(true)),
  calls: { offer: null, current: { call: { id: "k1", state: "held" } } },
  consultation: null as null | {
    call: string;
    state: string;
    colleague: { id: string };
    number?: string;
  },
  isAsked: false,
}));
vi.mock("@/live/live", () => ({ useLive: () => live }));

const asked = (state: Asked) => {
  live.consultation = { call: "k1", state, colleague: { id: "u2" } };
  return useCallActions();
};

describe("what the buttons do while a colleague is asked", () => {
  beforeEach(() => {
    live.act.mockClear();
    live.isAsked = false;
  });

  it.each([
    ["talking", "customer"],
    ["held", "colleague"],
  ] as const)(
    "from %s it goes to the %s, by button or by the key that holds",
    async (state, to) => {
      await asked(state).swap();
      await asked(state).toggleHold();
      expect(live.act.mock.calls).toEqual([
        ["call.swap", "k1", { to }],
        ["call.swap", "k1", { to }],
      ]);
    },
  );

  it("the key that holds ends what rings in vain, and does nothing once all three talk", async () => {
    await asked("ringing").toggleHold();
    await asked("joined").toggleHold();
    expect(live.act.mock.calls).toEqual([["call.resume", "k1"]]);
  });

  it.each([
    ["ringing", "call.resume"],
    ["talking", "call.resume"],
    ["held", "call.hangup"],
    ["joined", "call.hangup"],
  ] as const)("ends, while it is %s, with %s", async (state, order) => {
    await asked(state).end();
    expect(live.act.mock.calls).toEqual([[order, "k1"]]);
  });

  it("hands over to the colleague, or to the number outside", async () => {
    await asked("talking").handOver();
    live.consultation = { ...live.consultation!, colleague: { id: "" }, number: "+98912" };
    await useCallActions().handOver();
    expect(live.act.mock.calls).toEqual([
      ["call.transfer", "k1", { to_agent: "u2" }],
      ["call.transfer", "k1", { to_number: "+98912" }],
    ]);
  });

  it("a colleague who is asked only leaves", async () => {
    live.isAsked = true;
    for (const state of ["talking", "held"] as const) await asked(state).end();
    await asked("held").toggleHold();
    expect(live.act.mock.calls).toEqual([
      ["call.hangup", "k1"],
      ["call.hangup", "k1"],
    ]);
  });
});
