/** The figures of a conversation, made ready for pictures. Pure. */

import type { Conversation } from "@/api/types";

export type PartName = "agent" | "both" | "customer" | "silence" | "hold";

/** How the time passed, in parts that add up to it; parts without a second are left out. */
export function passed(
  now: Pick<
    Conversation,
    "agent" | "customer" | "both_seconds" | "silence_seconds" | "hold_seconds"
  >,
): { name: PartName; seconds: number; share: number }[] {
  const parts: [PartName, number][] = [
    ["agent", Math.max(0, now.agent.seconds - now.both_seconds)],
    ["both", now.both_seconds],
    ["customer", Math.max(0, now.customer.seconds - now.both_seconds)],
    ["silence", now.silence_seconds],
    ["hold", now.hold_seconds],
  ];
  const whole = parts.reduce((sum, [, seconds]) => sum + seconds, 0);
  return parts
    .filter(([, seconds]) => seconds > 0)
    .map(([name, seconds]) => ({ name, seconds, share: seconds / whole }));
}

/** What a bar of full width stands for; never 0. */
export function widest(...values: (number | null | undefined)[]): number {
  return Math.max(0, ...values.map((value) => value ?? 0)) || 1;
}
