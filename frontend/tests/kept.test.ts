import { beforeEach, describe, expect, it, vi } from "vitest";
import { api } from "@/api";
import { forget, handIn, keep, kept, keptCalls } from "@/desk/kept";

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
});
const record = (more: object) => ({ draft: null, notes: "", ...more }) as never;

describe("drafts in this browser", () => {
  beforeEach(() => {
    localStorage.clear();
    vi.restoreAllMocks();
    vi.spyOn(api, "interactions").mockImplementation(
      async (query) => ({ items: [{ id: `i-${query?.call_id}` }] }) as never,
    );
  });

  it("are kept call by call; what is broken is none", () => {
    keep("a", draft("one"));
    localStorage.setItem("callcenter.draft.b", "{");
    localStorage.setItem("callcenter.theme", "dark");
    expect(kept("a").notes).toBe("one");
    expect(kept("b")).toEqual({});
    expect(keptCalls().sort()).toEqual(["a", "b"]);
    forget("a");
    expect(keptCalls()).toEqual(["b"]);
  });

  it("leave it once the server has them, sent now where it lacks them", async () => {
    keep("saved", draft("known"));
    keep("closed", draft("noted"));
    keep("empty", draft("  "));
    keep("newer", draft("typed a second ago"));
    vi.spyOn(api, "interaction").mockImplementation(async (id) =>
      record(id === "i-saved" ? { draft: "known" } : id === "i-closed" ? { notes: "noted" } : {}),
    );
    const sent = vi.spyOn(api, "changeInteraction").mockResolvedValue({} as never);
    expect(await handIn()).toEqual([]);
    expect(sent.mock.calls).toEqual([["i-newer", { draft: "typed a second ago" }]]);
    expect(keptCalls()).toEqual([]);
  });

  it("stay where they would be lost, and are counted", async () => {
    keep("complaint", draft("", { subject: "Charged twice" }));
    keep("refused", draft("text"));
    keep("saved", draft("known"));
    vi.spyOn(api, "interaction").mockImplementation(async (id) => {
      if (id === "i-refused") throw new Error("away");
      return record({ draft: "known" });
    });
    expect((await handIn()).sort()).toEqual(["complaint", "refused"]);
    expect(keptCalls().sort()).toEqual(["complaint", "refused"]);
  });
});
