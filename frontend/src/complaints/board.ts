/** The board's own rules, pure: where a card may go, where the keys lead. */

import type { Board, Complaint } from "@/api/types";
import { neededFor, type Stage, STAGES, stepsFrom } from "./stages";

export interface Column {
  stage: Stage;
  count: number;
  cards: Complaint[];
}

export function columnsOf(board: Board | null): Column[] {
  const found = new Map(board?.columns.map((column) => [column.stage, column]));
  return STAGES.map((stage) => ({
    stage,
    count: found.get(stage)?.count ?? 0,
    cards: found.get(stage)?.items ?? [],
  }));
}

export function mayGo(card: Complaint, to: Stage): boolean {
  return stepsFrom(card.stage).includes(to);
}

/** Whether somebody has to say something first: a decision, how it was told, why it is reopened. */
export function asksFirst(to: Stage): boolean {
  return neededFor(to) !== null || ["closed", "appealed", "reopened"].includes(to);
}

/** The card as the server has it now, in its column; all others stay. */
export function placed(columns: Column[], card: Complaint): Column[] {
  return columns.map((column) => {
    const others = column.cards.filter((one) => one.id !== card.id);
    const had = others.length !== column.cards.length;
    const gets = column.stage === card.stage;
    const cards = gets ? [...others, card].sort(byDeadline) : others;
    return { ...column, cards, count: column.count + Number(gets) - Number(had) };
  });
}

function byDeadline(a: Complaint, b: Complaint): number {
  return (a.due ?? "").localeCompare(b.due ?? "") || a.id.localeCompare(b.id);
}

export interface Place {
  column: number;
  row: number;
}

/** Where an arrow leads: up and down in the column, sideways to the next one that has cards. */
export function step(columns: Column[], at: Place, key: string, rtl: boolean): Place | null {
  const rows = columns[at.column]?.cards.length ?? 0;
  if (key === "ArrowDown") return at.row + 1 < rows ? { ...at, row: at.row + 1 } : null;
  if (key === "ArrowUp") return at.row > 0 ? { ...at, row: at.row - 1 } : null;
  const way = forward(key, rtl);
  if (!way) return null;
  for (let column = at.column + way; column >= 0 && column < columns.length; column += way) {
    const cards = columns[column]?.cards.length ?? 0;
    if (cards) return { column, row: Math.min(at.row, cards - 1) };
  }
  return null;
}

/** 1 for the arrow that points to later stages, -1 for the other one, 0 for no such key. */
export function forward(key: string, rtl: boolean): -1 | 0 | 1 {
  if (key === "ArrowRight") return rtl ? -1 : 1;
  if (key === "ArrowLeft") return rtl ? 1 : -1;
  return 0;
}

/** The usual next stage: where Shift and the arrow take a card. */
export function usualNext(card: Complaint): Stage | null {
  return card.stage === "closed" ? null : (stepsFrom(card.stage)[0] ?? null);
}
