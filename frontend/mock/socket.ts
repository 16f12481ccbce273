/** In place of `src/live/socket.ts`: plays the scene that the address names. */

import type { SocketHandlers, Wire } from "../src/live/socket";
import type { Data } from "./data";

const { scene, data } = (window as unknown as { mock: { scene: string; data: Data } }).mock;
const ago = (seconds: number) => new Date(Date.now() - seconds * 1000).toISOString();

const call = (state: string) => ({
  id: "call0",
  state,
  direction: "inbound",
  from: data.numbers[0],
  to: "100",
  queue: "support",
  started_at: ago(state === "ringing" ? 12 : 96),
  answered_at: state === "ringing" ? null : ago(84),
  agent: "u1",
});
const match = (n: number, reason = "exact") => ({ customer: data.brief(n), reason, score: 1 });
const contact = (state: string, seq: number) => ({
  seq,
  call: call(state),
  caller: { number: data.numbers[0], name: null, country: "IR", withheld: false },
  matches:
    scene === "unknown" ? [] : scene === "choice" ? [match(0), match(3, "national")] : [match(0)],
  queue: "support",
  policy: "always",
  interaction: "i0",
});
const presence = (state: string, more: object = {}) => ({
  agent: "u1",
  state,
  reason: null,
  since: ago(84),
  until: null,
  call: null,
  next: null,
  audio: true,
  ...more,
});

export function connect(handlers: SocketHandlers): Wire {
  const talking = ["talking", "held", "unknown", "complaint"].includes(scene);
  const ringing = scene === "ringing" || scene === "choice";
  setTimeout(() => {
    handlers.connected();
    setTimeout(() => {
      const floor = {
        queues: [
          { name: "support", waiting: 3, longest_wait_seconds: 74 },
          { name: "sales", waiting: 0, longest_wait_seconds: 0 },
        ],
      };
      handlers.event("floor", floor);
      if (!talking && scene !== "wrapup") return;
      data.utterances.forEach((u, i) =>
        handlers.event("caption", {
          ...u,
          call: "call0",
          kind: i === 5 && talking ? "partial" : "final",
        }),
      );
    }, 120);
  }, 20);
  return {
    async send(name, payload) {
      if (name === "agent.state")
        handlers.event("agent.state", {
          seq: Date.now(),
          ...presence((payload as { state: string }).state),
          since: ago(0),
        });
      if (name !== "resume") return { ok: true };
      const wrapping = scene === "wrapup";
      return {
        ok: true,
        seq: 10,
        agent: talking
          ? presence("on_call")
          : wrapping
            ? presence("wrap_up", { since: ago(18), until: ago(-42) })
            : ringing
              ? presence("ringing")
              : presence(scene === "away" ? "offline" : "available"),
        ringing: ringing ? contact("ringing", 10) : null,
        call:
          talking || wrapping
            ? contact(wrapping ? "ended" : scene === "held" ? "held" : "talking", 9)
            : null,
      };
    },
    close() {},
  };
}
