/** The stages of a complaint (ISO 10002:2018, clause 8) and the steps between them. */

import type { components } from "@/api/schema";

export type Stage = components["schemas"]["Transition"]["to"];

export const STAGES: readonly Stage[] = [
  "received",
  "acknowledged",
  "assessing",
  "investigating",
  "responded",
  "communicated",
  "closed",
  "appealed",
  "reopened",
];

const WORK: readonly Stage[] = ["assessing", "investigating", "responded"];

const STEPS: Record<Stage, readonly Stage[]> = {
  received: ["acknowledged", ...WORK],
  acknowledged: WORK,
  assessing: ["investigating", "responded"],
  investigating: ["responded"],
  responded: ["communicated", "investigating"],
  communicated: ["closed", "appealed", "reopened"],
  closed: ["appealed", "reopened"],
  appealed: WORK,
  reopened: WORK,
};

/** Where a complaint can go from here; the usual step first. */
export function stepsFrom(stage: string): readonly Stage[] {
  return STEPS[stage as Stage] ?? [];
}

/** What a step asks for beside a note. */
export function neededFor(stage: Stage): "decision" | "channel" | null {
  if (stage === "responded") return "decision";
  return stage === "communicated" ? "channel" : null;
}

export const CHANNELS = ["phone", "mail", "sms", "portal", "letter", "visit"] as const;
