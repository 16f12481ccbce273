import { afterEach, expect, test, vi } from "vitest";
import { part } from "@/app/parts";

const lost = new TypeError("Failed to fetch dynamically imported module");
const atOnce = () => Promise.resolve();

function failing(times: number) {
  const load = vi.fn<() => Promise<string>>();
  for (let i = 0; i < times; i += 1) load.mockRejectedValueOnce(lost);
  return load.mockResolvedValue("the part");
}

afterEach(() => vi.unstubAllGlobals());

test("a part that the network lost is fetched again", async () => {
  const load = failing(2);
  expect(await part(load, atOnce)).toBe("the part");
  expect(load).toHaveBeenCalledTimes(3);
});

test("without a network it is tried for as long as that lasts", async () => {
  vi.stubGlobal("navigator", { onLine: false });
  const load = failing(40);
  expect(await part(load, atOnce)).toBe("the part");
});

test("a part that the server does not have any more fails after five tries", async () => {
  const load = failing(99);
  await expect(part(load, atOnce)).rejects.toBe(lost);
  expect(load).toHaveBeenCalledTimes(5);
});

test("the wait ends as soon as the network is back", async () => {
  vi.useFakeTimers();
  const load = failing(1);
  const loading = part(load);
  await vi.advanceTimersByTimeAsync(10);
  expect(load).toHaveBeenCalledTimes(1);
  window.dispatchEvent(new Event("online"));
  expect(await loading).toBe("the part");
  vi.useRealTimers();
});
