import type { CoachingTask } from "@/api/types";

export type Step = "done" | "checked" | "returned";

/** What this person may do with a task now: the agent does it, somebody else checks it. */
export function stepsOf(task: Pick<CoachingTask, "state" | "about_me">): Step[] {
  if (task.about_me) return task.state === "open" ? ["done"] : [];
  return task.state === "done" ? ["checked", "returned"] : [];
}

/** Whether the due day (YYYY-MM-DD) has passed with the task still open; `today` likewise. */
export function isLate(task: Pick<CoachingTask, "state" | "due">, today: string): boolean {
  return task.state === "open" && typeof task.due === "string" && task.due < today;
}

/** The day of that moment where the person sits, YYYY-MM-DD. */
export function dayOf(moment: Date): string {
  const local = new Date(moment.getTime() - moment.getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 10);
}
