import { describe, expect, it } from "vitest";
import { readAlarms } from "@/live/payload";

describe("alarms", () => {
  it("are read as they are told", () => {
    const told = [{ node: "local", resource: "recordings_disk", percent: 93 }];
    expect(readAlarms(told)).toEqual(told);
  });

  it("are none where nothing is told", () => {
    expect(readAlarms(undefined)).toEqual([]);
    expect(readAlarms([null])).toEqual([{ node: "", resource: "", percent: 0 }]);
  });
});
