/** What is asked of the search, as the address of the page holds it. Pure. */

import type { Leg, Sentence } from "@/api/types";

export const PERIODS = ["today", "week", "month"] as const;
const DAYS: Record<string, number> = { today: 0, week: 6, month: 29 };

export interface Asked {
  q: string;
  leg: string;
  queue: string;
  language: string;
  mark: string;
  period: string;
  mine: boolean;
}

type Query = Record<string, unknown>;
const text = (value: unknown) => (typeof value === "string" ? value : "");

/** From the address. */
export function askedIn(query: Query): Asked {
  const { q, leg, queue, language, mark, period } = query;
  return {
    q: text(q),
    leg: text(leg),
    queue: text(queue),
    language: text(language),
    mark: text(mark),
    period: text(period),
    mine: query.mine === "1",
  };
}

/** To the address; what is open is left out. */
export function addressOf(asked: Asked): Record<string, string> {
  const query = Object.entries({ ...asked, mine: asked.mine ? "1" : "" });
  return Object.fromEntries(query.filter(([, value]) => value));
}

/** To the server; `now` says where today begins. */
export function questionOf(asked: Asked, now = new Date()) {
  return {
    q: asked.q.trim(),
    leg: (asked.leg || undefined) as Leg | undefined,
    queue: asked.queue || undefined,
    language: (asked.language || undefined) as "fa" | undefined,
    mark: asked.mark || undefined,
    agent: asked.mine ? "me" : undefined,
    from: since(asked.period, now),
  };
}

function since(period: string, now: Date): string | undefined {
  const days = DAYS[period];
  if (days === undefined) return undefined;
  const day = new Date(now);
  day.setHours(0, 0, 0, 0);
  day.setDate(day.getDate() - days);
  return day.toISOString();
}

/** Where a click on a sentence leads: the call, playing from a breath before it. */
export function placeOf(sentence: Sentence) {
  const t = Math.max(0, Math.round((sentence.t0 - 0.5) * 10) / 10);
  return {
    name: "call",
    params: { id: sentence.interaction.id },
    query: { t: String(t), play: "1" },
  };
}
