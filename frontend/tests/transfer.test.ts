import { beforeEach, describe, expect, it, vi } from "vitest";
import { createApp, nextTick } from "vue";
import TransferBox from "@/app/TransferBox.vue";

const live = vi.hoisted(() => ({
  act: vi.fn(() => Promise.resolve(true)),
  calls: { current: { call: { id: "k1" } } },
  queues: [{ name: "sales", waiting: 0, longest_wait_seconds: 0 }],
  busy: false,
  online: true,
}));
vi.mock("@/live/live", () => ({ useLive: () => live }));
vi.mock("@/i18n", () => ({ useText: () => ({ t: (key: string) => key, f: { code: String } }) }));
vi.mock("@/session/session", () => ({ me: { value: { id: "u1" } } }));
vi.mock("@/api", () => ({
  api: { agents: () => Promise.resolve({ items: [{ id: "u2", name: "Omid" }] }) },
}));

async function open() {
  const page = document.createElement("div");
  const closed = vi.fn();
  createApp(TransferBox, { onClose: closed }).mount(page);
  await new Promise((done) => setTimeout(done)); // the agents are there
  const field = page.querySelector<HTMLInputElement>("[data-testid=transfer-number]")!;
  const list = page.querySelector("select")!;
  const ask = () => page.querySelector<HTMLButtonElement>("[data-testid=transfer-ask]");
  const submit = () => page.querySelector("form")!.dispatchEvent(new Event("submit"));
  const write = async (number: string) => {
    field.value = number;
    field.dispatchEvent(new Event("input"));
    await nextTick();
  };
  const choose = async (value: string) => {
    list.value = value;
    list.dispatchEvent(new Event("change"));
    await nextTick();
  };
  return { page, closed, field, list, ask, submit, write, choose };
}

describe("the box to pass a call on", () => {
  beforeEach(() => live.act.mockClear());

  it("asks at a number, in digits of any script, by button and by Enter", async () => {
    const box = await open();
    expect(box.ask()).toBeNull();
    await box.write("۰۹۱۲ ۷۶۵ ۴۳۲۱");
    expect(box.page.textContent).toContain("transfer.outsideHint");
    box.ask()!.click();
    await vi.waitFor(() => expect(box.closed).toHaveBeenCalled());
    box.submit();
    const asked = ["call.consult", "k1", { to: "۰۹۱۲ ۷۶۵ ۴۳۲۱" }];
    expect(live.act.mock.calls).toEqual([asked, asked]);
  });

  it("never passes a call on to a number unannounced", async () => {
    const box = await open();
    expect(box.page.querySelector("[type=submit]")).not.toBeNull();
    await box.write("0912 765 4321");
    expect(box.page.querySelector("[type=submit]")).toBeNull();
    expect(box.field.dir).toBe("ltr");
  });

  it("takes the list or the number, the last that was chosen", async () => {
    const box = await open();
    await box.write("0912 765 4321");
    await box.choose("a:u2");
    expect(box.field.value).toBe("");
    box.ask()!.click();
    await vi.waitFor(() => expect(live.act).toHaveBeenCalledTimes(1));
    await box.write("0912 765 4321");
    expect(box.list.value).toBe("");
    await box.choose("q:sales");
    expect(box.ask()).toBeNull();
    box.submit();
    expect(live.act.mock.calls).toEqual([
      ["call.consult", "k1", { colleague: "u2" }],
      ["call.transfer", "k1", { to_queue: "sales" }],
    ]);
  });
});
