import { createPinia, setActivePinia } from "pinia";
import { beforeEach, expect, test, vi } from "vitest";
import { nextTick, reactive } from "vue";
import { api, Problem } from "@/api";
import { useDraft } from "@/desk/draft";
import { forget, keep, kept, openDrafts } from "@/desk/kept";
import { unlock } from "@/session/sealed";

const contact = (id: string) => ({ call: { id }, interaction: `i-${id}` });
const live = reactive({
  isAsked: false,
  calls: { current: null as ReturnType<typeof contact> | null, after: null },
  interactionOf: async (id: string) => `i-${id}`,
});
vi.mock("@/live/live", () => ({ useLive: () => live }));

const conflict = new Problem({ status: 409, type: "conflict" });
let server: { notes: string; draft: string | null; version: number };
const record = () => ({ disposition: null, ...server }) as never;
/** As the server does it: a draft over saved notes needs their version. */
const change = vi.fn(
  async (_: string, body: { draft?: string; notes?: string; version?: number | null }) => {
    const stale = body.version == null ? server.notes !== "" : body.version !== server.version;
    if (stale) throw conflict;
    const notes = body.notes ?? server.notes;
    server = { notes, draft: body.draft ?? null, version: server.version + 1 };
    return record();
  },
);

const typed = (notes: string) => ({
  notes,
  disposition: "",
  complaint: { open: false, subject: "", description: "", severity: "normal" as const, quotes: [] },
  registered: [],
  base: { version: 1, notes: "" },
});

async function settle(ms = 0): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
  await new Promise((done) => setImmediate(done)); // sealing works outside of the fake clock
  await vi.advanceTimersByTimeAsync(0);
  await nextTick();
}

async function open(call: string) {
  live.calls.current = contact(call);
  setActivePinia(createPinia());
  const draft = useDraft();
  await vi.waitFor(async () => {
    await settle();
    expect(vi.mocked(api.interaction)).toHaveBeenCalled();
  });
  await settle();
  return draft;
}

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  localStorage.clear();
  change.mockClear();
  server = { notes: "", draft: null, version: 1 };
  vi.spyOn(api, "interaction")
    .mockReset()
    .mockImplementation(async () => record());
  vi.spyOn(api, "changeInteraction").mockImplementation(change as never);
  await unlock("11".repeat(32));
  openDrafts("dana");
});

test("what is typed is kept here at once, on the server after two seconds", async () => {
  const draft = await open("a");
  draft.notes = "Wants a refund";
  await settle();
  await vi.waitFor(async () => expect((await kept("a")).notes).toBe("Wants a refund"));
  expect(change).not.toHaveBeenCalled();
  await settle(2000);
  expect(change.mock.calls).toEqual([["i-a", { draft: "Wants a refund", version: 1 }]]);
  expect(draft.saved).toBe("saved");
  await vi.waitFor(async () => expect((await kept("a")).base?.version).toBe(2));
});

test("what was typed in the moments before a reload is shown and sent", async () => {
  await keep("a", typed("Wants a ref"));
  const draft = await open("a");
  expect(draft.notes).toBe("Wants a ref");
  await settle(2000);
  expect(server.draft).toBe("Wants a ref");
});

test("an old draft goes over no notes that were saved since, until its writer knows", async () => {
  await keep("a", typed("Wants a ref"));
  server = { notes: "All of it.", draft: null, version: 4 };
  const draft = await open("a");
  await settle(2000);
  expect(draft.saved).toBe("overtaken");
  expect(server).toEqual({ notes: "All of it.", draft: null, version: 4 });
  expect((await kept("a")).base?.version).toBe(1); // nothing was written since
  draft.notes = "Wants a refund, by post";
  await settle();
  await settle(2000);
  expect(draft.saved).toBe("saved");
  expect(server).toEqual({ notes: "All of it.", draft: "Wants a refund, by post", version: 5 });
});

test("two agents of one call both keep what they wrote", async () => {
  const draft = await open("a");
  draft.notes = "Wants a refund";
  await settle(2000);
  server = { notes: "Passed on to sales.", draft: null, version: 7 }; // the other one saved
  draft.notes = "Wants a refund by Friday";
  await settle();
  await settle(2000);
  expect(draft.saved).toBe("overtaken");
  expect(draft.theirs).toBe("Passed on to sales.");
  draft.disposition = "done";
  server = { ...server, draft: "more", version: 8 }; // and goes on writing
  expect(await draft.close()).toBe(true);
  expect(server.notes).toBe("Passed on to sales.\n\nWants a refund by Friday");
  expect(draft.theirs).toBe("");
});

test("who saves second writes over nothing, also without having been told", async () => {
  const draft = await open("a");
  draft.notes = "Mine";
  server = { notes: "Theirs", draft: null, version: 5 };
  expect(await draft.close()).toBe(true);
  expect(server.notes).toBe("Theirs\n\nMine");
  await open("b");
});

test("notes that hold the colleague's already are not doubled", async () => {
  server = { notes: "Passed on.", draft: null, version: 3 };
  const draft = await open("a");
  expect(draft.notes).toBe("Passed on.");
  draft.notes = "Passed on. Refunded.";
  server = { ...server, version: 4 };
  expect(await draft.close()).toBe(true);
  expect(server.notes).toBe("Passed on. Refunded.");
});

test("a closed file leaves nothing here", async () => {
  const draft = await open("a");
  draft.notes = "Done";
  await settle(2000);
  vi.mocked(api.changeInteraction).mockResolvedValueOnce({ notes: "Done", version: 9 } as never);
  expect(await draft.close()).toBe(true);
  await settle(2000);
  expect(localStorage.length).toBe(0);
  forget("a");
});
