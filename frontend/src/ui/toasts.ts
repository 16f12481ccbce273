import { ref } from "vue";
import type { RouteLocationRaw } from "vue-router";
import type { ProblemBody } from "@/api/types";
import { i18n } from "@/i18n";

export interface Toast {
  id: number;
  tone: "info" | "good" | "bad";
  text: string;
  /** Where a link in it leads, and what the link says. */
  link?: { to: RouteLocationRaw; text: string };
}

export const toasts = ref<Toast[]>([]);
let last = 0;

export function say(
  text: string,
  tone: Toast["tone"] = "info",
  milliseconds = 6000,
  link?: Toast["link"],
): void {
  last += 1;
  const id = last;
  toasts.value = [...toasts.value.slice(-2), { id, tone, text, link }];
  setTimeout(() => dismiss(id), milliseconds);
}

export function dismiss(id: number): void {
  toasts.value = toasts.value.filter((toast) => toast.id !== id);
}

/** A sentence for a problem: ours in the reader's language where we have one, else the server's. */
export function problemText(problem: ProblemBody | undefined): string {
  const { t, te } = i18n.global;
  const code = (problem?.type ?? "").split(/[/:#]/).pop() ?? "";
  if (code && te(`problems.${code}`)) return t(`problems.${code}`);
  return problem?.detail ?? problem?.title ?? t("problems.unknown");
}

export function sayProblem(problem: ProblemBody | undefined): void {
  say(problemText(problem), "bad", 9000);
}
