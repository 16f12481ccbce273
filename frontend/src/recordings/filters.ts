/** What the list of recordings is narrowed to: in the address, in a question, in a saved view. Pure. */

import type { LocationQuery } from "vue-router";
import type { RecordingsQuery, ViewFilters } from "@/api/types";

export const PERIODS = ["today", "week", "month"] as const;
const DAYS = { today: 0, week: 6, month: 29 };
/** Outcomes that a recorded call can have. */
export const OUTCOMES = ["completed", "interrupted", "failed", "abandoned", "missed"] as const;

/** As the fields hold them: "" is open, lengths are minutes, `from` and `to` days. */
export interface Filters {
  words: string;
  period: string;
  from: string;
  to: string;
  queue: string;
  agent: string;
  customer: string;
  outcome: string;
  language: string;
  line: string;
  min: string;
  max: string;
  minScore: string;
  maxScore: string;
}

export const NONE: Readonly<Filters> = {
  words: "",
  period: "",
  from: "",
  to: "",
  queue: "",
  agent: "",
  customer: "",
  outcome: "",
  language: "",
  line: "",
  min: "",
  max: "",
  minScore: "",
  maxScore: "",
};
const NAMES = Object.keys(NONE) as (keyof Filters)[];
/** Fields that stand behind "more filters". */
export const MORE = [
  "customer",
  "outcome",
  "language",
  "line",
  "min",
  "max",
  "minScore",
  "maxScore",
] as const;

export function fromAddress(query: LocationQuery): Filters {
  const found = { ...NONE };
  for (const name of NAMES) {
    const value = query[name];
    if (typeof value === "string") found[name] = value;
  }
  return found;
}

export function toAddress(filters: Filters): Record<string, string> {
  const set = NAMES.filter((name) => filters[name].trim() && isAsked(name, filters));
  return Object.fromEntries(set.map((name) => [name, filters[name].trim()]));
}

/** Own days count only where no period is chosen. */
function isAsked(name: keyof Filters, filters: Filters): boolean {
  return !["from", "to"].includes(name) || filters.period === "days";
}

export function count(filters: Filters, names: readonly (keyof Filters)[] = NAMES): number {
  return names.filter((name) => filters[name].trim()).length;
}

export function same(one: Filters, other: Filters): boolean {
  return JSON.stringify(toAddress(one)) === JSON.stringify(toAddress(other));
}

/** The question to the server; periods are counted from the day of `now`. */
export function question(filters: Filters, now: Date): RecordingsQuery {
  return { ...facts(filters), ...span(filters, now) };
}

/** What a saved view keeps: a period moves with the day. */
export function kept(filters: Filters): ViewFilters {
  const days = filters.period === "days";
  return {
    ...facts(filters),
    period: days ? undefined : period(filters.period),
    from: days ? filters.from || undefined : undefined,
    to: days ? filters.to || undefined : undefined,
  };
}

export function restored(view: ViewFilters): Filters {
  return {
    words: view.words ?? "",
    period: view.period ?? (view.from || view.to ? "days" : ""),
    from: view.from ?? "",
    to: view.to ?? "",
    queue: view.queue ?? "",
    agent: view.agent ?? "",
    customer: view.customer ?? "",
    outcome: view.outcome ?? "",
    language: view.language ?? "",
    line: view.line ?? "",
    min: minutes(view.min_seconds),
    max: minutes(view.max_seconds),
    minScore: String(view.min_score ?? ""),
    maxScore: String(view.max_score ?? ""),
  };
}

function facts(filters: Filters) {
  return {
    words: filters.words.trim() || undefined,
    queue: filters.queue || undefined,
    agent: filters.agent || undefined,
    customer: filters.customer || undefined,
    outcome: (filters.outcome || undefined) as ViewFilters["outcome"],
    language: (filters.language || undefined) as ViewFilters["language"],
    line: filters.line || undefined,
    min_seconds: seconds(filters.min),
    max_seconds: seconds(filters.max),
    min_score: number(filters.minScore, BEST),
    max_score: number(filters.maxScore, BEST),
  };
}

function span(filters: Filters, now: Date): { from?: string; to?: string } {
  if (filters.period === "days") {
    return { from: begin(filters.from, 0), to: begin(filters.to, 1) };
  }
  const known = period(filters.period);
  if (!known) return {};
  return {
    from: new Date(now.getFullYear(), now.getMonth(), now.getDate() - DAYS[known]).toISOString(),
  };
}

function period(name: string): (typeof PERIODS)[number] | undefined {
  return PERIODS.find((one) => one === name);
}

/** The beginning of a day, so many days later; nothing of what is no day. */
function begin(day: string, later: number): string | undefined {
  const [, year, month, date] = /^(\d{4})-(\d\d)-(\d\d)$/.exec(day) ?? [];
  if (!year) return undefined;
  return new Date(Number(year), Number(month) - 1, Number(date) + later).toISOString();
}

const LONGEST = 24 * 60;
const BEST = 100;

/** What was typed, where it is a number from 0 to `most`. */
function number(typed: string, most: number): number | undefined {
  const value = Number(typed.trim() || NaN);
  return value >= 0 && value <= most ? value : undefined;
}

function seconds(typed: string): number | undefined {
  const value = number(typed, LONGEST);
  return value === undefined ? undefined : Math.round(value * 60);
}

function minutes(value: number | null | undefined): string {
  return value === null || value === undefined ? "" : String(value / 60);
}
