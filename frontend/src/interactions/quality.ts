import type { CallQuality } from "@/api/types";

export type Grade = "good" | "fair" | "poor" | "unknown";

/** What most people say of a MOS: from 4.0 on satisfied, from 3.6 on some are not (G.107 annex B). */
export function gradeOf(mos: number | null | undefined): Grade {
  if (mos === null || mos === undefined) return "unknown";
  if (mos >= 4) return "good";
  return mos >= 3.6 ? "fair" : "poor";
}

/** The share of packets that could not be heard: lost or too late; null where none came. */
export function lossOf(one: Pick<CallQuality, "received" | "lost" | "late">): number | null {
  const expected = one.received + one.lost;
  return expected > 0 ? Math.min((one.lost + one.late) / expected, 1) : null;
}
