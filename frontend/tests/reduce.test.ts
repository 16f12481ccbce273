import { describe, expect, it } from "vitest";
import { callTone, keptState } from "@/calls/calls";
import { hear, noCaptions } from "@/captions/captions";
import { readCaptions } from "@/live/payload";
import { blank, type Live, reduce, takeSnapshot } from "@/live/reduce";
import { call } from "./wire";

const customer = (id: string) => ({ id, name: `name of ${id}`, kind: "person" });
const match = (id: string) => ({ customer: customer(id), reason: "exact", score: 1 });
const ringing = (seq: number, id = "k1", matches = [match("c1")]) => ({
  seq,
  call: call("ringing", id),
  caller: { number: "+989123456789", name: null, country: "IR" },
  matches,
  queue: "support",
  policy: "always",
});
const play = (events: [string, object][], live: Live = blank) =>
  events.reduce((state, [name, payload]) => reduce(state, name, payload), live);

describe("a call on the desk", () => {
  it("rings, is talked, held, resumed, ends and is wrapped up", () => {
    const tones: string[] = [];
    let live = blank;
    const steps: [string, object][] = [
      ["call.ringing", ringing(1)],
      ["call.updated", { seq: 2, call: call("talking") }],
      ["call.updated", { seq: 3, call: call("held") }],
      ["call.updated", { seq: 4, call: call("talking") }],
      ["agent.state", { seq: 5, state: "wrap_up", until: "2026-11-23T08:05:00Z" }],
      ["call.ended", { seq: 6, call: "k1", reason: "completed", interaction: "i1" }],
      ["agent.state", { seq: 7, state: "available" }],
    ];
    for (const step of steps) {
      live = play([step], live);
      tones.push(callTone(live.calls));
    }
    expect(tones).toEqual(["ringing", "talking", "held", "talking", "talking", "wrap_up", "idle"]);
  });

  it("of mine is dialled, rings there, is talked and wrapped up, and never asks to be answered", () => {
    const out = (state: string) => ({ ...call(state), direction: "outbound", to: "+989121234567" });
    const steps: [string, object][] = [
      ["call.dialling", { ...ringing(1), call: out("dialling") }],
      ["agent.state", { seq: 2, state: "on_call" }],
      ["call.updated", { seq: 3, call: out("alerting") }],
      ["call.updated", { seq: 4, call: out("talking") }],
      ["agent.state", { seq: 5, state: "wrap_up" }],
      ["call.ended", { seq: 6, call: "k1", reason: "completed", interaction: "i1" }],
    ];
    let live = blank;
    const tones = steps.map((step) => {
      live = play([step], live);
      expect(live.calls.offer).toBeNull();
      return callTone(live.calls);
    });
    expect(tones).toEqual(["dialling", "dialling", "dialling", "talking", "talking", "wrap_up"]);
    expect(live.calls.after?.customer?.id).toBe("c1");
  });

  it("says whether it is recorded, and why it is not", () => {
    const told = (recording: string, more: object = {}) => ({
      seq: 3,
      call: "k1",
      recording,
      consent: null,
      resumes_at: null,
      ...more,
    });
    const shown = (body: object, policy = "always") => {
      const live = play([
        ["call.ringing", { ...ringing(1), policy }],
        ["call.updated", { seq: 2, call: call("talking") }],
        ["call.recording", body],
      ]);
      return live.calls.current ? keptState(live.calls.current) : null;
    };
    const until = { resumes_at: "2026-11-23T08:02:00Z" };
    expect(shown(told("off"), "never")).toBe("never");
    expect(shown(told("off"), "on_demand")).toBe("off");
    expect(shown(told("off", { consent: "declined" }), "ask")).toBe("declined");
    expect(shown(told("running", { consent: "given" }), "ask")).toBe("running");
    expect(shown(told("paused", until))).toBe("paused");
    expect(shown(told("paused"), "on_demand")).toBe("off"); // stopped for good
    expect(shown(told("paused", { consent: "not_asked" }), "ask")).toBe("not_asked");
    expect(shown(told("failed"))).toBe("failed");
    expect(shown({ ...told("paused", until), call: "another" })).toBe("off");
  });

  it("keeps the pause through what else happens to the call", () => {
    const talking = { ...call("talking"), recording: "paused", resumes_at: "2026-11-23T08:02:00Z" };
    const live = play([
      ["call.ringing", ringing(1)],
      ["call.updated", { seq: 2, call: talking }],
      ["call.updated", { seq: 3, call: { ...talking, state: "held" } }],
    ]);
    expect(live.calls.current && keptState(live.calls.current)).toBe("paused");
    expect(live.calls.current?.call.kept.resumesAt).toBe("2026-11-23T08:02:00Z");
  });

  it("keeps who calls through the answer, and the interaction for the wrap-up", () => {
    const live = play([
      ["call.ringing", ringing(1)],
      ["call.updated", { seq: 2, call: call("talking") }],
      ["call.ended", { seq: 3, call: "k1", reason: "completed", interaction: "i1" }],
    ]);
    expect(live.calls.after?.customer?.id).toBe("c1");
    expect(live.calls.after?.interaction).toBe("i1");
  });

  it("shows an event that comes twice only once", () => {
    const rang = play([["call.ringing", ringing(1)]]);
    const gone = play([["call.ended", { seq: 2, call: "k1", reason: "abandoned" }]], rang);
    expect(play([["call.ringing", ringing(1)]], gone)).toBe(gone);
    expect(gone.calls.offer).toBeNull();
  });

  it("takes the card away when the caller gives up", () => {
    const live = play([
      ["call.ringing", ringing(1)],
      ["call.ended", { seq: 2, call: "k1", reason: "abandoned" }],
    ]);
    expect(live.calls.offer).toBeNull();
    expect(live.calls.after).toBeNull();
    expect(live.calls.lastEnd).toEqual({ call: "k1", reason: "abandoned", answered: false });
  });

  it("takes the card away when the offer goes to the next agent", () => {
    const live = play([
      ["call.ringing", ringing(1)],
      ["agent.state", { seq: 2, state: "ringing" }],
      ["agent.state", { seq: 3, state: "not_answering" }],
    ]);
    expect(live.calls.offer).toBeNull();
  });

  it("takes the card away when the call is at somebody else", () => {
    const elsewhere = { ...call("ringing"), agent: "u2" };
    const live = play([
      ["call.ringing", ringing(1)],
      ["call.updated", { seq: 2, call: elsewhere }],
    ]);
    expect(live.calls.offer).toBeNull();
    expect(live.calls.current).toBeNull();
  });

  it("opens no record by itself when several match", () => {
    const live = play([["call.ringing", ringing(1, "k1", [match("c1"), match("c2")])]]);
    expect(live.calls.offer?.customer).toBeNull();
    expect(live.calls.offer?.matches.map((m) => m.customer.id)).toEqual(["c1", "c2"]);
  });

  it("offers at most five matches", () => {
    const many = Array.from({ length: 9 }, (_, i) => match(`c${i}`));
    const live = play([["call.ringing", ringing(1, "k1", many)]]);
    expect(live.calls.offer?.matches).toHaveLength(5);
  });

  it("does not lose the wrap-up to the next caller's ring", () => {
    const live = play([
      ["call.ringing", ringing(1)],
      ["call.updated", { seq: 2, call: call("talking") }],
      ["call.ended", { seq: 3, call: "k1", reason: "completed" }],
      ["call.ringing", ringing(4, "k2")],
    ]);
    expect(live.calls.after?.call.id).toBe("k1");
    expect(live.calls.offer?.call.id).toBe("k2");
  });
});

describe("after a reload", () => {
  it("brings the conversation back from the answer to resume", () => {
    const live = takeSnapshot(blank, {
      ok: true,
      seq: 9,
      agent: { state: "on_call", since: "2026-11-23T08:00:10Z", audio: false },
      ringing: null,
      call: { ...ringing(8), call: call("talking") },
    });
    expect(live.lastSeq).toBe(9);
    expect(live.presence.audio).toBe(false);
    expect(callTone(live.calls)).toBe("talking");
    expect(live.captions.call).toBe("k1");
  });

  it("takes a bare call object, too", () => {
    const live = takeSnapshot(blank, { ok: true, seq: 1, call: call("held") });
    expect(callTone(live.calls)).toBe("held");
  });

  it("drops a remembered call of which the server knows nothing", () => {
    const before = play([
      ["call.ringing", ringing(1)],
      ["call.updated", { seq: 2, call: call("talking") }],
    ]);
    const live = takeSnapshot(before, { ok: true, seq: 5, ringing: null, call: null });
    expect(callTone(live.calls)).toBe("idle");
  });

  it("believes newer events more than an older picture", () => {
    const before = play([["call.ringing", ringing(7)]]);
    expect(takeSnapshot(before, { ok: true, seq: 6, ringing: null, call: null })).toBe(before);
  });

  it("keeps the customer that the agent chose", () => {
    const before = play([["call.ringing", ringing(1)]]);
    const live = takeSnapshot(before, { ok: true, seq: 1, ringing: null, call: call("talking") });
    expect(live.calls.current?.customer?.id).toBe("c1");
  });
});

describe("presence", () => {
  it("notes the state that follows the call and when wrap-up ends", () => {
    const live = play([
      ["agent.state", { seq: 1, state: "wrap_up", next: "break", until: "2026-11-23T08:05:00Z" }],
    ]);
    expect(live.presence).toMatchObject({ next: "break", until: "2026-11-23T08:05:00Z" });
    expect(play([["agent.state", { seq: 2, state: "break" }]], live).presence.next).toBeNull();
  });

  it("counts changes of the missed list and keeps the queues", () => {
    const live = play([
      ["missed.changed", { seq: 1 }],
      ["floor", { queues: [{ name: "support", waiting: 2, longest_wait_seconds: 31 }] }],
    ]);
    expect(live.missedVersion).toBe(1);
    expect(live.queues).toEqual([{ name: "support", waiting: 2, longest_wait_seconds: 31 }]);
  });
});

describe("a colleague who is asked", () => {
  const dana = { id: "u1", username: "dana", name: "Dana" };
  const omid = { id: "u2", username: "omid", name: "Omid" };
  const consultation = (seq: number, state: string, reason: string | null = null) => ({
    seq,
    call: "k1",
    state,
    agent: dana,
    colleague: omid,
    reason,
  });
  const of = (state: string) => ({ ...call(state), agent: "u2" });
  const asks = { ...ringing(1), call: of("ringing"), asked_by: dana, interaction: null };
  const talks: [string, object][] = [
    ["call.ringing", asks],
    ["call.consultation", consultation(2, "talking")],
    ["call.updated", { seq: 3, call: of("talking"), interaction: null }],
  ];

  it("sees who asks and about whom, talks, and has nothing to write afterwards", () => {
    const rung = play([["call.ringing", asks]]);
    expect(rung.calls.offer?.askedBy).toEqual({ id: "u1", name: "Dana" });
    expect(rung.calls.offer?.customer?.id).toBe("c1");
    const live = play(talks);
    expect(live.calls.current?.askedBy?.name).toBe("Dana");
    expect(live.calls.consultation?.state).toBe("talking");
    expect(callTone(live.calls)).toBe("talking");
    const over = play(
      [
        ["call.consultation", consultation(4, "ended", "left")],
        ["call.ended", { seq: 5, call: "k1", reason: "consulted", interaction: null }],
      ],
      live,
    );
    expect([over.calls.current, over.calls.after, over.calls.consultation]).toEqual([
      null,
      null,
      null,
    ]);
  });

  it("reads what is said, also what was said before, and has nothing of it once they left", () => {
    const said = (id: string, t0: number) => ({
      ...{ call: "k1", leg: "customer", kind: "final", id, text: id, t0, t1: t0 + 1, masks: [] },
    });
    let live = play([...talks, ["caption", said("now", 5)]]);
    const before = readCaptions([said("before", 1), { call: "k1" }, said("now", 5)]);
    expect(before.map((one) => one.id)).toEqual(["before", "now"]);
    live = { ...live, captions: before.reduce(hear, live.captions) };
    expect(live.captions.lines.map((line) => line.text)).toEqual(["before", "now"]);
    live = play([["call.ended", { seq: 5, call: "k1", reason: "consulted" }]], live);
    expect(live.captions).toEqual(noCaptions);
    expect(play([["caption", said("later", 9)]], live).captions).toEqual(noCaptions);
  });

  it("has the call and its note once it is handed over, and goes on talking", () => {
    const live = play([
      ...talks,
      ["call.consultation", consultation(4, "joined")],
      ["call.consultation", consultation(5, "ended", "handed_over")],
      ["call.ringing", { ...ringing(6), call: of("ringing"), interaction: "i1" }],
      ["call.updated", { seq: 7, call: of("talking"), interaction: "i1" }],
    ]);
    expect(live.calls.offer).toBeNull();
    expect(live.calls.current?.interaction).toBe("i1");
    expect(live.calls.current?.askedBy).toBeNull();
    expect(live.calls.current?.customer?.id).toBe("c1");
    expect(callTone(live.calls)).toBe("talking");
  });

  it("who passes a call on has its wrap-up, whoever has the call now", () => {
    const live = play([
      ["call.ringing", ringing(1)],
      ["call.updated", { seq: 2, call: call("talking") }],
      ["agent.state", { seq: 3, state: "wrap_up" }],
      ["call.updated", { seq: 4, call: of("queued"), reason: "transferred" }],
      ["call.ended", { seq: 5, call: "k1", reason: "transferred", interaction: "i1" }],
    ]);
    expect(live.calls.current).toBeNull();
    expect(live.calls.after?.interaction).toBe("i1");
  });

  it("waits with music while the other is with the customer, and talks again", () => {
    const talking: [string, object][] = [
      ["call.ringing", ringing(1)],
      ["call.updated", { seq: 2, call: call("talking") }],
      ["call.updated", { seq: 3, call: call("held") }],
      ["call.consultation", consultation(4, "talking")],
      ["call.consultation", consultation(5, "held")],
      ["call.updated", { seq: 6, call: call("talking") }],
    ];
    const asker = play(talking);
    expect([asker.calls.consultation?.state, callTone(asker.calls)]).toEqual(["held", "talking"]);
    const waits = play([...talks, ["call.consultation", consultation(4, "held")]]);
    expect([waits.calls.consultation?.state, callTone(waits.calls)]).toEqual(["held", "talking"]);
    const back = play([["call.consultation", consultation(7, "talking")]], asker);
    expect(back.calls.consultation?.state).toBe("talking");
  });

  it("may be at a number outside, which reads left to right in every language", () => {
    const outside = { ...consultation(4, "talking"), colleague: null, number: "+989127654321" };
    const live = play([
      ["call.ringing", ringing(1)],
      ["call.updated", { seq: 2, call: call("held") }],
      ["call.consultation", outside],
    ]);
    expect(live.calls.consultation).toMatchObject({
      colleague: { id: "", name: "\u2066+989127654321\u2069" },
      number: "+989127654321",
      state: "talking",
    });
    expect(play(talks).calls.consultation?.number).toBeNull();
  });

  it("is known to a page that was loaded anew", () => {
    const live = takeSnapshot(blank, {
      seq: 9,
      agent: { state: "on_call" },
      ringing: null,
      call: { ...asks, call: of("talking"), seq: 1 },
      consultation: consultation(0, "talking"),
    });
    expect(live.calls.current?.askedBy?.name).toBe("Dana");
    expect(live.calls.consultation?.agent.name).toBe("Dana");
  });

  it("is on the screen of the agent whose call it is, until that is over", () => {
    const live = play([
      ["call.ringing", ringing(1)],
      ["call.updated", { seq: 2, call: call("talking") }],
      ["call.updated", { seq: 3, call: call("held") }],
      ["call.consultation", consultation(4, "ringing")],
      ["call.consultation", consultation(5, "ended", "declined")],
    ]);
    expect(live.calls.consultation?.reason).toBe("declined");
    expect(callTone(live.calls)).toBe("held");
    const over = play([["call.ended", { seq: 6, call: "k1", reason: "completed" }]], live);
    expect(over.calls.consultation).toBeNull();
  });
});
