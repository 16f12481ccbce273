import { describe, expect, it } from "vitest";
import type { Board, Complaint } from "@/api/types";
import { asksFirst, columnsOf, forward, mayGo, placed, step, usualNext } from "@/complaints/board";
import { STAGES } from "@/complaints/stages";

const card = (id: string, stage: string, due: string) =>
  ({ id, stage, due, code: `C-${id}` }) as Complaint;
const board = {
  columns: [
    {
      stage: "received",
      count: 5,
      items: [card("a", "received", "1"), card("b", "received", "2")],
    },
    { stage: "responded", count: 1, items: [card("c", "responded", "3")] },
  ],
} as Board;

describe("the board", () => {
  it("has every stage in its order, also the empty ones", () => {
    const columns = columnsOf(board);
    expect(columns.map((one) => one.stage)).toEqual(STAGES);
    expect(columns.map((one) => one.count).slice(0, 2)).toEqual([5, 0]);
    expect(columnsOf(null).every((one) => one.cards.length === 0)).toBe(true);
  });

  it("lets a card go where the stages allow it", () => {
    expect(mayGo(card("a", "received", ""), "acknowledged")).toBe(true);
    expect(mayGo(card("a", "received", ""), "closed")).toBe(false);
    expect(asksFirst("responded")).toBe(true);
    expect(asksFirst("assessing")).toBe(false);
    expect(usualNext(card("a", "received", ""))).toBe("acknowledged");
    expect(usualNext(card("a", "closed", ""))).toBe(null);
  });

  it("puts a moved card into its new column by deadline and counts it there", () => {
    const columns = placed(columnsOf(board), card("a", "responded", "1"));
    const by = Object.fromEntries(columns.map((one) => [one.stage, one]));
    expect(by.received?.cards.map((one) => one.id)).toEqual(["b"]);
    expect(by.responded?.cards.map((one) => one.id)).toEqual(["a", "c"]);
    expect([by.received?.count, by.responded?.count]).toEqual([4, 2]);
  });

  it("is walked with the arrow keys, sideways to the next column that has cards", () => {
    const columns = columnsOf(board);
    const at = { column: 0, row: 1 };
    expect(step(columns, at, "ArrowUp", false)).toEqual({ column: 0, row: 0 });
    expect(step(columns, at, "ArrowDown", false)).toBe(null);
    expect(step(columns, at, "ArrowRight", false)).toEqual({ column: 4, row: 0 });
    expect(step(columns, at, "ArrowLeft", true)).toEqual({ column: 4, row: 0 });
    expect(step(columns, at, "ArrowLeft", false)).toBe(null);
    expect(step(columns, at, "a", false)).toBe(null);
    expect(forward("ArrowLeft", true)).toBe(1);
  });
});
