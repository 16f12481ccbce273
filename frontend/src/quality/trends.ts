/** Rows of a trend as they are drawn: one value a week, null where there was nothing. */

interface Cell {
  week: number;
  count: number;
}

export interface TrendRow {
  key: string;
  name: string;
  values: (number | null)[];
  count: number;
}

/** The values of a figure by week; `of` gives null where the figure is not known. */
export function rowsOf<C extends Cell>(
  items: readonly { key: string; name: string; weeks: readonly C[] }[],
  weeks: number,
  of: (cell: C) => number | null,
): TrendRow[] {
  return items.map(({ key, name, weeks: cells }) => {
    const values: (number | null)[] = Array.from({ length: weeks }, () => null);
    for (const cell of cells) values[cell.week] = of(cell);
    return { key, name, values, count: cells.reduce((sum, cell) => sum + cell.count, 0) };
  });
}

/** The newest value against the one before it: "up", "down", "same"; null without two. */
export function turn(values: readonly (number | null)[]): "up" | "down" | "same" | null {
  const known = values.filter((value) => value !== null);
  const [before, last] = known.slice(-2);
  if (before === undefined || last === undefined) return null;
  if (last === before) return "same";
  return last > before ? "up" : "down";
}

/** The height of each bar, 0 to 1; the highest of all rows is 1. */
export function heights(rows: readonly TrendRow[], row: TrendRow): (number | null)[] {
  const all = rows.flatMap((one) => one.values).filter((value) => value !== null);
  const most = Math.max(...all, 0) || 1;
  return row.values.map((value) => (value === null ? null : value / most));
}
