import { beforeEach, describe, expect, it, vi } from "vitest";
import { api, Problem } from "@/api";
import { forget, handIn, keep, kept, keptCalls, openDrafts } from "@/desk/kept";
import { sendDraft } from "@/desk/sending";
import { unlock } from "@/session/sealed";

const DANA = "11".repeat(32);
const OMID = "22".repeat(32);
const base = { version: 3, notes: "" };
const draft = (notes: string, complaint: object = {}) => ({
  notes,
  disposition: "",
  complaint: {
    open: false,
    subject: "",
    description: "",
    severity: "normal" as const,
    quotes: [],
    ...complaint,
  },
  registered: [],
  base,
});
const record = (more: object) => ({ draft: null, notes: "", version: 3, ...more }) as never;
const conflict = new Problem({ status: 409, type: "conflict" });
async function sitDown(person: string, key: string): Promise<void> {
  await unlock(key);
  openDrafts(person);
}
const stored = () => JSON.stringify(Object.entries(localStorage));

beforeEach(async () => {
  localStorage.clear();
  vi.restoreAllMocks();
  vi.spyOn(api, "interactions").mockImplementation(
    async (query) => ({ items: [{ id: `i-${query?.call_id}` }] }) as never,
  );
  await sitDown("dana", DANA);
});

describe("drafts in this browser", () => {
  it("are kept call by call; what is broken is none", async () => {
    await keep("a", draft("one"));
    localStorage.setItem("callcenter.draft.dana.b", "{");
    localStorage.setItem("callcenter.theme", "dark");
    expect(await kept("a")).toEqual(draft("one"));
    expect(await kept("b")).toEqual({});
    expect(keptCalls().sort()).toEqual(["a", "b"]);
    forget("a");
    expect(keptCalls()).toEqual(["b"]);
  });

  it("are readable with their person's key only", async () => {
    await keep("a", draft("Wants a call on Monday", { subject: "Charged twice" }));
    expect(stored()).toContain("callcenter.draft.dana.a");
    expect(stored()).not.toMatch(/Monday|Charged|notes|subject/);
    await sitDown("dana", OMID);
    expect(await kept("a")).toEqual({});
    await sitDown("dana", DANA);
    expect((await kept("a")).notes).toBe("Wants a call on Monday");
  });

  it("open at their own place only, and are sealed differently each time", async () => {
    await keep("a", draft("one"));
    const first = localStorage.getItem("callcenter.draft.dana.a")!;
    localStorage.setItem("callcenter.draft.dana.b", first);
    expect(await kept("b")).toEqual({});
    await keep("a", draft("one"));
    expect(localStorage.getItem("callcenter.draft.dana.a")).not.toBe(first);
  });

  it("are neither shown to the next person, nor handed in, nor discarded by them", async () => {
    await keep("a", draft("dana's"));
    await sitDown("omid", OMID);
    const asked = vi.spyOn(api, "interaction");
    const sent = vi.spyOn(api, "changeInteraction");
    expect(await kept("a")).toEqual({});
    expect(keptCalls()).toEqual([]);
    expect(await handIn()).toEqual([]);
    keptCalls().forEach(forget);
    forget("a");
    expect(asked).not.toHaveBeenCalled();
    expect(sent).not.toHaveBeenCalled();
    await sitDown("dana", DANA);
    expect((await kept("a")).notes).toBe("dana's");
  });

  it("of earlier versions, which anybody could read, are removed", async () => {
    localStorage.setItem("callcenter.draft.a", JSON.stringify(draft("readable")));
    await sitDown("dana", DANA);
    expect(localStorage.length).toBe(0);
  });

  it("are not kept where the browser cannot seal them", async () => {
    vi.stubGlobal("crypto", { subtle: undefined });
    await sitDown("dana", DANA);
    vi.unstubAllGlobals();
    await keep("a", draft("one"));
    expect(localStorage.length).toBe(0);
    expect(await handIn()).toEqual([]);
  });

  it("are written in their order, and not after they were forgotten", async () => {
    await Promise.all(["o", "on", "one"].map((notes) => keep("a", draft(notes))));
    expect((await kept("a")).notes).toBe("one");
    const late = keep("a", draft("late"));
    forget("a");
    await late;
    expect(keptCalls()).toEqual([]);
  });
});

describe("at the sign-out", () => {
  it("they leave once the server has them, sent now where it lacks them", async () => {
    await keep("saved", draft("known"));
    await keep("closed", draft("noted"));
    await keep("empty", draft("  "));
    await keep("newer", draft("typed a second ago"));
    vi.spyOn(api, "interaction").mockImplementation(async (id) =>
      record(id === "i-saved" ? { draft: "known" } : id === "i-closed" ? { notes: "noted" } : {}),
    );
    const sent = vi.spyOn(api, "changeInteraction").mockResolvedValue(record({}));
    expect(await handIn()).toEqual([]);
    expect(sent.mock.calls).toEqual([["i-newer", { draft: "typed a second ago", version: 3 }]]);
    expect(keptCalls()).toEqual([]);
  });

  it("they stay where they would be lost, and are counted", async () => {
    await keep("complaint", draft("", { subject: "Charged twice" }));
    await keep("refused", draft("text"));
    await keep("saved", draft("known"));
    vi.spyOn(api, "interaction").mockImplementation(async (id) => {
      if (id === "i-refused") throw new Error("away");
      return record({ draft: "known" });
    });
    expect((await handIn()).sort()).toEqual(["complaint", "refused"]);
    expect(keptCalls().sort()).toEqual(["complaint", "refused"]);
  });

  it("an old one goes over no newer notes", async () => {
    await keep("old", draft("half a sent"));
    vi.spyOn(api, "interaction").mockResolvedValue(record({ notes: "All of it.", version: 5 }));
    const sent = vi.spyOn(api, "changeInteraction").mockRejectedValue(conflict);
    expect(await handIn()).toEqual(["old"]);
    expect(sent.mock.calls).toEqual([["i-old", { draft: "half a sent", version: 3 }]]);
  });
});

describe("a draft on its way", () => {
  it("stands on what the server answered", async () => {
    vi.spyOn(api, "changeInteraction").mockResolvedValue(record({ notes: "x", version: 4 }));
    expect(await sendDraft("i", "text", base)).toEqual({ version: 4, notes: "x" });
  });

  it("goes over another draft, on the version that is there now", async () => {
    vi.spyOn(api, "interaction").mockResolvedValue(record({ draft: "other tab", version: 7 }));
    const sent = vi
      .spyOn(api, "changeInteraction")
      .mockRejectedValueOnce(conflict)
      .mockResolvedValueOnce(record({ version: 8 }));
    expect(await sendDraft("i", "text", base)).toEqual({ version: 8, notes: "" });
    expect(sent.mock.calls[1]).toEqual(["i", { draft: "text", version: 7 }]);
  });

  it.each([
    ["notes that were saved since", { notes: "All of it." }],
    ["a draft that was begun on those", { notes: "All of it.", draft: "All of it. And" }],
    ["an erased record", {}],
  ])("goes not over %s", async (_, there) => {
    vi.spyOn(api, "interaction").mockResolvedValue(record({ ...there, version: 7 }));
    const sent = vi.spyOn(api, "changeInteraction").mockRejectedValue(conflict);
    await expect(sendDraft("i", "text", base)).rejects.toBe(conflict);
    expect(sent).toHaveBeenCalledTimes(1);
  });

  it("whose ground is not known is left to the server", async () => {
    const sent = vi.spyOn(api, "changeInteraction").mockRejectedValue(conflict);
    await expect(sendDraft("i", "text", null)).rejects.toBe(conflict);
    expect(sent.mock.calls).toEqual([["i", { draft: "text", version: undefined }]]);
  });
});
