/** The living state of the desktop: one fold of events, and the commands to the server. */

import { defineStore } from "pinia";
import { computed, ref, shallowRef, watch } from "vue";
import { api } from "@/api";
import { part } from "@/app/parts";
import type { AgentStateName, CustomerBrief, Device } from "@/api/types";
import {
  bringLegTo,
  closeLeg,
  leg,
  legIsUp,
  lineLost,
  muted,
  openLeg,
  renewLeg,
  setMuted,
} from "@/audio/leg";
import { mic } from "@/audio/microphone";
import { callTone } from "@/calls/calls";
import { hear, merge } from "@/captions/captions";
import { i18n } from "@/i18n";
import { put, take } from "@/session/sealed";
import { leaveIfOver, me, session, shiftIsOn } from "@/session/session";
import { say, sayProblem } from "@/ui/toasts";
import { leading, onTabMessage, runForLead, tell } from "./leader";
import { type Alarm, nodeOf, readAlarms, readCaptions, readPresence, seqOf } from "./payload";
import { blank, type Live, reduce, takeSnapshot, withCalls } from "./reduce";
import type { Ack, Wire } from "./socket";

const storageKey = () => `callcenter.live.${me.value?.id ?? ""}`;

/** How things stood when this tab was loaded anew; blank in a new one. */
let recalled: Live = blank;

/** Before the first picture: opens what this tab remembers. */
export async function recallLive(): Promise<void> {
  const kept = (await take(sessionStorage, storageKey())) as Partial<Live> | null;
  recalled = { ...blank, ...kept };
}

export const useLive = defineStore("live", () => {
  const state = shallowRef<Live>(recalled);
  const online = ref(false);
  /** True once the server has said how things stand. */
  const settled = ref(false);
  /** The line as the leading tab reports it, for the other tabs. */
  const remoteLine = ref({ leg: "off", mic: "off", muted: false });
  /** What runs short; told to supervisors and administrators only. */
  const alarms = shallowRef<Alarm[]>([]);
  let wire: Wire | null = null;
  /** Until the server has sent what was missed, live events wait: they may be newer. */
  let resuming = true;
  const waiting: [string, unknown][] = [];

  watch(state, ({ lastSeq, calls, presence }) => {
    void put(sessionStorage, storageKey(), { lastSeq, calls, presence });
  });

  /** Not needed to paint: the socket's library is fetched beside the first picture. */
  async function openSocket(): Promise<void> {
    const { connect } = await part(() => import("./socket"));
    wire = connect({
      event: receive,
      connected: () => void resume(),
      disconnected: () => {
        alarms.value = []; // said anew with the next connection
        online.value = false;
        resuming = true;
      },
      refused: () => void leaveIfOver(),
    });
  }

  let started = false;
  function start(): void {
    if (started) return;
    started = true;
    void openSocket();
    onTabMessage(fromOtherTab);
    runForLead(me.value?.id ?? "", () => {
      if (shiftIsOn()) void openLine();
    });
    watch([leg, mic, muted, leading], tellLine);
    watch(() => state.value.captions.call, loadCaptions, { immediate: true });
    window.addEventListener("pagehide", () => wire?.close());
  }

  function receive(name: string, payload: unknown): void {
    if (name === "notice") notice(payload as Record<string, unknown>);
    else if (resuming) waiting.push([name, payload]);
    else state.value = reduce(state.value, name, payload);
    if (name === "call.ringing" && leading.value) bringLegTo(nodeOf(payload));
  }

  /** Live events may overtake the ones that are sent again: kept back, then taken by number. */
  function takeWaiting(): void {
    const order = ([, payload]: [string, unknown]) => seqOf(payload) ?? Number.MAX_SAFE_INTEGER;
    const events = waiting.splice(0).sort((a, b) => order(a) - order(b));
    state.value = events.reduce((live, [name, body]) => reduce(live, name, body), state.value);
  }

  async function resume(): Promise<void> {
    if (!wire) return;
    resuming = true;
    let ack = await wire.send("resume", { last_seq: state.value.lastSeq });
    if (!ack.ok && state.value.lastSeq === null) ack = await wire.send("resume", { last_seq: 0 });
    if (!ack.ok) {
      setTimeout(() => void resume(), 1000);
      return;
    }
    resuming = false;
    takeWaiting();
    state.value = takeSnapshot(state.value, ack);
    online.value = true;
    settled.value = true;
    void loadCaptions(state.value.captions.call);
    const lineIsGone = state.value.presence.audio === false || !legIsUp();
    if (leading.value && leg.value !== "off" && lineIsGone) void renewLeg();
  }

  function notice(body: Record<string, unknown>): void {
    const kind = String(body.kind ?? "");
    if (kind === "resources") {
      alarms.value = readAlarms(body.alarms);
      return;
    }
    if (onPhone.value && (kind === "audio-lost" || kind === "audio-ready")) {
      const presence = { ...state.value.presence, audio: kind === "audio-ready" };
      state.value = { ...state.value, presence };
      return;
    }
    if (kind === "audio-lost" || kind === "telephony-up") {
      const node = typeof body.node === "string" && body.node ? body.node : undefined;
      if (leading.value && leg.value !== "off") lineLost(node);
      return;
    }
    const { t, te } = i18n.global;
    if (kind === "outbound-half") {
      const [agent = "", what = "", used = "", limit = ""] = String(body.text).split("|");
      const whose = agent ? "one" : "all";
      say(t(`notices.outbound.${whose}.${what}`, { used, limit }), "bad", 20000);
      return;
    }
    if (te(`notices.${kind}`)) say(t(`notices.${kind}`), "info", 9000);
    else if (typeof body.text === "string" && body.text) say(body.text, "info", 9000);
  }

  function fromOtherTab(message: Parameters<Parameters<typeof onTabMessage>[0]>[0]): void {
    if (message.type === "line") remoteLine.value = message;
    else if (message.type === "who") tellLine();
    else if (message.type === "mute" && leading.value) setMuted(message.muted);
    else if (message.type === "shift" && message.on && leading.value) void openLine();
    else if (message.type === "customer") {
      choose(message.call, message.customer as CustomerBrief | null);
    }
  }

  function tellLine(): void {
    if (!leading.value) return;
    tell({ type: "line", leg: leg.value, mic: mic.value, muted: muted.value });
  }

  async function openLine(): Promise<void> {
    if (!leading.value) {
      tell({ type: "shift", on: true });
      return;
    }
    if (onPhone.value) {
      closeLeg(); // calls come to the desk phone: the microphone is nobody's
      return;
    }
    await openLeg(async (offer) => {
      const ack = await send("rtc.offer", offer, true);
      if (!ack.ok || typeof ack.sdp !== "string") return null;
      return { sdp: ack.sdp, node: typeof ack.node === "string" ? ack.node : undefined };
    });
  }

  async function send(name: string, payload: unknown, quiet = false): Promise<Ack> {
    const ack = wire
      ? await wire.send(name, payload)
      : { ok: false, problem: { type: "unreachable" } };
    if (!ack.ok && !quiet) sayProblem(ack.problem);
    return ack;
  }

  async function loadCaptions(call: string | null): Promise<void> {
    const contact = state.value.calls.current ?? state.value.calls.after;
    if (!call || contact?.call.id !== call) return;
    if (isAsked.value) {
      // The transcript is not for whoever is only asked; what the others see now is.
      const ack = await send("call.captions", { call }, true);
      const captions = readCaptions(ack.items).reduce(hear, state.value.captions);
      state.value = { ...state.value, captions };
      return;
    }
    const interaction = await interactionOf(call);
    if (!interaction) return;
    const stored = await api.transcript(interaction).catch(() => null);
    if (!stored) return;
    state.value = { ...state.value, captions: merge(state.value.captions, call, stored.items) };
  }

  /** The id of a call's interaction; asked of the server when the events did not carry it. */
  async function interactionOf(call: string): Promise<string | null> {
    const { offer, current, after } = state.value.calls;
    const known = [offer, current, after].find((c) => c?.call.id === call)?.interaction;
    if (known) return known;
    const page = await api.interactions({ call_id: call, limit: 1 }).catch(() => null);
    return page?.items[0]?.id ?? null;
  }

  /** Answers first, paints at once: the server's `call.updated` confirms. */
  const busy = ref(false);
  async function act(name: string, call: string, more: object = {}): Promise<boolean> {
    busy.value = true;
    const ack = await send(name, { call, ...more });
    busy.value = false;
    if (!ack.ok && ["call.answer", "call.reject"].includes(name)) void resume();
    return ack.ok;
  }

  /** Calls a number; the call itself comes as `call.dialling`. */
  async function dial(to: string): Promise<boolean> {
    busy.value = true;
    const ack = await send("call.dial", { to });
    busy.value = false;
    return ack.ok;
  }

  async function setState(next: AgentStateName, reason: string | null = null): Promise<boolean> {
    const ack = await send("agent.state", { state: next, reason });
    return ack.ok;
  }

  /** Browser or desk phone, from the next call on. */
  async function setDevice(device: Device): Promise<boolean> {
    const ack = await send("agent.device", { device });
    if (ack.ok) {
      const presence = { ...state.value.presence, ...readPresence(ack.agent) };
      state.value = { ...state.value, presence };
    }
    return ack.ok;
  }

  function choose(call: string, customer: CustomerBrief | null): void {
    state.value = withCalls(state.value, { kind: "customer", call, customer });
  }

  function toggleMute(): void {
    const on = !isMuted.value;
    if (leading.value) setMuted(on);
    else tell({ type: "mute", muted: on });
  }

  const calls = computed(() => state.value.calls);
  const presence = computed(() => state.value.presence);
  const onPhone = computed(
    () => (state.value.presence.device ?? session.value?.device) === "phone",
  );
  /** A colleague who is asked in my call, or I in a colleague's. */
  const consultation = computed(() => {
    const { consultation: now, current } = state.value.calls;
    return now && now.state !== "ended" && now.call === current?.call.id ? now : null;
  });
  /** Whether the conversation is a colleague's call, about which I am asked. */
  const isAsked = computed(() => consultation.value?.colleague.id === me.value?.id);
  const isMuted = computed(() => (leading.value ? muted.value : remoteLine.value.muted));
  const line = computed(() => (leading.value ? leg.value : remoteLine.value.leg));
  const microphone = computed(() => (leading.value ? mic.value : remoteLine.value.mic));

  watch(
    () => state.value.late,
    (late) => {
      if (late) say(i18n.global.t("notices.late", { code: late.code }), "bad", 12_000);
    },
  );

  watch(
    () => state.value.calls.consultation,
    (now) => {
      const { t, te } = i18n.global;
      const text = `consultation.ended.${now?.reason}`;
      if (now?.state !== "ended" || now.agent.id !== me.value?.id || !te(text)) return;
      say(t(text, { name: now.colleague.name }), "info", 9000);
    },
  );

  watch(
    () => state.value.calls.current?.call.id,
    (call) => {
      if (!call && leading.value) setMuted(false); // nobody starts the next call muted
    },
  );

  return {
    state,
    online,
    settled,
    alarms,
    busy,
    calls,
    presence,
    consultation,
    isAsked,
    onPhone,
    isMuted,
    line,
    microphone,
    tone: computed(() => callTone(state.value.calls)),
    captions: computed(() => state.value.captions),
    queues: computed(() => state.value.queues),
    said: computed(() => state.value.said),
    missedVersion: computed(() => state.value.missedVersion),
    start,
    stop: () => wire?.close(),
    send,
    act,
    dial,
    setState,
    setDevice,
    openLine,
    toggleMute,
    interactionOf,
    chooseCustomer(call: string, customer: CustomerBrief | null) {
      choose(call, customer);
      tell({ type: "customer", call, customer: customer ? { ...customer } : null });
    },
    endWrapUp() {
      state.value = withCalls(state.value, { kind: "wrapped" });
    },
  };
});
