import { mount } from "@vue/test-utils";
import { createPinia, setActivePinia } from "pinia";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Component, nextTick } from "vue";
import { api } from "@/api";
import CallBar from "@/app/CallBar.vue";
import PopCard from "@/app/PopCard.vue";
import StateMenu from "@/app/StateMenu.vue";
import { i18n, LANGUAGES, setLanguage } from "@/i18n";
import { recallLive, useLive } from "@/live/live";
import { blank, reduce } from "@/live/reduce";
import type { SocketHandlers } from "@/live/socket";
import { put, unlock } from "@/session/sealed";
import { session } from "@/session/session";
import { call } from "./wire";

/** The page before its socket: what the tab remembers is painted at once. */
const socket = vi.hoisted(() => ({
  handlers: null as SocketHandlers | null,
  sent: [] as string[],
}));
vi.mock("@/live/socket", () => ({
  connect: (handlers: SocketHandlers) => {
    socket.handlers = handlers;
    return {
      send: async (name: string) => {
        socket.sent.push(name);
        return { ok: true, agent: { state: "on_call" } };
      },
      close: () => {},
    };
  },
}));

const rings = {
  seq: 1,
  call: call("ringing"),
  caller: { number: "+989123456789", name: null, country: "IR" },
  matches: [],
  queue: "support",
  policy: "on_demand",
};
const WAITS = "Connecting: the buttons work in a moment";

/** A tab that is loaded anew while that call is on. */
async function reloaded(talking: boolean): Promise<void> {
  let live = reduce(blank, "call.ringing", rings);
  if (talking) live = reduce(live, "call.updated", { seq: 2, call: call("talking") });
  await put(sessionStorage, "callcenter.live.u1", live);
  await recallLive();
  setActivePinia(createPinia());
}

const shown = (what: Component) =>
  mount(what, { global: { plugins: [i18n] }, attachTo: document.body });

/** Of every button that is there: whether it is disabled, and why. */
function buttons(page: ReturnType<typeof shown>, ...but: string[]) {
  return page
    .findAll("button")
    .filter((one) => !but.includes(one.attributes("data-testid") ?? ""))
    .map((one) => [one.attributes("disabled") !== undefined, one.attributes("title")] as const);
}

async function connected(): Promise<void> {
  useLive().start();
  await vi.waitFor(() => expect(socket.handlers).not.toBeNull());
  socket.handlers!.connected();
  await vi.waitFor(() => expect(useLive().online).toBe(true));
  await nextTick();
}

beforeEach(async () => {
  const questions = api as unknown as Record<string, () => Promise<unknown>>;
  for (const name of Object.keys(api)) {
    vi.spyOn(questions, name).mockResolvedValue({ items: [], next: null });
  }
  sessionStorage.clear();
  socket.handlers = null;
  socket.sent = [];
  session.value = { user: { id: "u1", name: "Dana", role: "agent" }, csrf_token: "x" } as never;
  await unlock("11".repeat(32));
  await setLanguage("en");
});
afterEach(() => {
  document.body.innerHTML = "";
});

test("the buttons of a call wait for the socket and say so", async () => {
  await reloaded(true);
  const bar = shown(CallBar);
  // Muting is this browser's own; the others open a box.
  const own = ["call-mute", "call-transfer", "call-keypad"];
  expect(bar.get("[data-testid=call-bar]").attributes("data-state")).toBe("talking");
  expect(bar.get("[data-testid=call-connecting]").text()).toBe(WAITS);
  const before = buttons(bar, ...own);
  expect(before.length).toBeGreaterThanOrEqual(3);
  expect(before.filter(([disabled, why]) => !disabled || why !== WAITS)).toEqual([]);
  await bar.get("[data-testid=call-end]").trigger("click");
  expect(socket.sent).toEqual([]);

  await connected();
  expect(bar.find("[data-testid=call-connecting]").exists()).toBe(false);
  expect(buttons(bar, ...own).filter(([disabled]) => disabled)).toEqual([]);
  expect(bar.get("[data-testid=call-end]").attributes("title")).toBeUndefined();
  await bar.get("[data-testid=call-end]").trigger("click");
  await vi.waitFor(() => expect(socket.sent).toContain("call.hangup"));

  socket.handlers!.disconnected();
  await nextTick();
  expect(buttons(bar, ...own).filter(([disabled]) => !disabled)).toEqual([]);
  expect(bar.get("[data-testid=call-connecting]").text()).toBe(WAITS);
});

test("so do those of a call that rings", async () => {
  await reloaded(false);
  const card = shown(PopCard);
  expect(buttons(card)).toEqual([
    [true, WAITS],
    [true, WAITS],
  ]);
  expect(card.text()).toContain(WAITS);
  await connected();
  expect(buttons(card)).toEqual([
    [false, undefined],
    [false, undefined],
  ]);
  expect(card.text()).not.toContain(WAITS);
});

test("so do the states to choose from", async () => {
  setActivePinia(createPinia());
  const menu = shown(StateMenu);
  await menu.get("[data-testid=state-menu]").trigger("click");
  const choices = () =>
    menu.findAll("[role=menuitemradio]").map((one) => one.attributes("disabled"));
  expect(choices().length).toBeGreaterThan(3);
  expect(choices().filter((one) => one === undefined)).toEqual([]);
  expect(menu.get("[role=menu]").text()).toContain(WAITS);
  await connected();
  expect(choices().filter((one) => one !== undefined)).toEqual([]);
});

test.each(LANGUAGES)("it is said in %s", async (language) => {
  await setLanguage(language);
  await reloaded(true);
  const said = shown(CallBar).get("[data-testid=call-connecting]").text();
  expect(said).toBe(i18n.global.t("callbar.connecting"));
  expect(said === WAITS).toBe(language === "en");
});
