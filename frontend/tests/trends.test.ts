import { describe, expect, it } from "vitest";
import { heights, rowsOf, turn } from "@/quality/trends";

const items = [
  {
    key: "a",
    name: "Ann",
    weeks: [
      { week: 0, count: 2, mean: 80 },
      { week: 2, count: 1, mean: 40 },
    ],
  },
  { key: "b", name: "Bob", weeks: [{ week: 1, count: 1, mean: 20 }] },
];

describe("a trend", () => {
  const rows = rowsOf(items, 3, (cell) => cell.mean);

  it("has a value for each week, and none where there was nothing", () => {
    expect(rows.map((row) => [row.name, row.values, row.count])).toEqual([
      ["Ann", [80, null, 40], 3],
      ["Bob", [null, 20, null], 1],
    ]);
  });

  it("is drawn so that rows can be compared", () => {
    expect(heights(rows, rows[0]!)).toEqual([1, null, 0.5]);
    expect(heights(rows, rows[1]!)).toEqual([null, 0.25, null]);
    expect(heights([{ ...rows[1]!, values: [0] }], { ...rows[1]!, values: [0] })).toEqual([0]);
  });

  it("says where it goes by its last two weeks that have a value", () => {
    expect(turn([80, null, 40])).toBe("down");
    expect(turn([1, 2, null])).toBe("up");
    expect(turn([3, 3])).toBe("same");
    expect(turn([null, 3])).toBeNull();
  });
});
