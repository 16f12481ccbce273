import { flushPromises, mount, RouterLinkStub } from "@vue/test-utils";
import { expect, test, vi } from "vitest";
import { api } from "@/api";
import ErasureList from "@/erasures/ErasureList.vue";
import { i18n, LANGUAGES, setLanguage, setTimeZone } from "@/i18n";

const asked = (id: string, customer: string) => ({
  id,
  customer_id: customer,
  state: "asked",
  reason: "letter of 24 November",
  asked_by: { id: "u1", name: "Sara" },
  asked_at: "2026-11-24T08:00:00Z",
  done: 0,
  total: 0,
});
const CUSTOMERS = ["01931f6e-0000-7000-8000-00003f9a2c01", "01931f6e-0000-7000-8000-0000b7d0e4f2"];

/** The names of the links to customers, as screen readers say them and as they are written. */
async function links(customer?: string) {
  const items = CUSTOMERS.map((one, at) => asked(`e${at}`, one));
  vi.spyOn(api, "erasures").mockResolvedValue({ items, next: null } as never);
  const page = mount(ErasureList, {
    props: { customer },
    global: { plugins: [i18n], stubs: { RouterLink: RouterLinkStub } },
  });
  await flushPromises();
  const found = page
    .findAllComponents(RouterLinkStub)
    .map(
      (link) => [link.attributes("aria-label") ?? "", link.text().replace(/\s+/g, " ")] as const,
    );
  page.unmount();
  return found;
}

test.each(LANGUAGES)("each link to a customer has a name of its own in %s", async (language) => {
  setTimeZone("Asia/Tehran");
  await setLanguage(language);
  const found = await links();
  expect(found).toHaveLength(2);
  expect(new Set(found.map(([name]) => name)).size).toBe(2);
  for (const [at, [name, text]] of found.entries()) {
    expect(text).toBe(`${i18n.global.t("erasure.customer")} ${CUSTOMERS[at]!.slice(-8)}`);
    expect(name.startsWith(text)).toBe(true); // what is seen can be said to reach it
    expect(name.length).toBeGreaterThan(text.length + 10); // and when it was asked for
  }
});

test("on one customer's page there is none", async () => {
  await setLanguage("en");
  expect(await links(CUSTOMERS[0])).toEqual([]);
});
