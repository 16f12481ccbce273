import { computed, shallowRef } from "vue";
import type { SessionInfo } from "@/api/types";

/** Who is signed in. Set once before the application starts. */
export const session = shallowRef<SessionInfo | null>(null);
/** Whether this person's role takes calls; administrators and auditors have no desk. */
export const takesCalls = computed(() => {
  const permissions = session.value?.permissions;
  return !permissions || "calls.take" in permissions;
});
/** Whether this person may call somebody: the role, and the system's settings. */
export const placesCalls = computed(() => may("calls.place"));
/** Whether this person's role has that permission at all. */
export const may = (permission: string) => permission in (session.value?.permissions ?? {});
/** Whether this person reads customers at all times, not one at a time with a reason. */
export const readsCustomers = computed(() => {
  const permissions = session.value?.permissions;
  return !permissions || permissions["customers.read"] === "all";
});
/** Whether this person makes archives of customers: they hold every team's calls. */
export const exportsCustomers = computed(
  () => may("customers.export") && session.value?.permissions?.["customers.export"] !== "team",
);
/** Whether this person sees who opened what with a reason. */
export const seesDisclosures = computed(() => may("disclosures.read"));
/** Whether this person sees whose data is to be erased. */
export const seesErasures = computed(() => may("erasures.read"));
/** The extension of this person's desk phone. */
export const myPhone = computed(() => session.value?.phone ?? null);
export const me = computed(() => session.value?.user ?? null);

/** The page's own session element, else a question to the server; null when nobody is signed in. */
export async function loadSession(): Promise<SessionInfo | null> {
  const element = document.getElementById("session");
  element?.remove();
  try {
    const given = JSON.parse(element?.textContent ?? "null") as SessionInfo | null;
    if (given?.user) return (session.value = given);
  } catch {
    // Falls through to the question.
  }
  const answer = await fetch("/api/v1/session", { headers: { Accept: "application/json" } });
  if (!answer.ok) return null;
  return (session.value = (await answer.json()) as SessionInfo);
}

/** What the tab remembers of calls is for who was signed in: nobody else finds it there. */
export function goToSignIn(): void {
  sessionStorage.clear();
  const here = window.location.pathname + window.location.search;
  window.location.assign(`/sign-in?next=${encodeURIComponent(here)}`);
}

/** The socket was refused: on to the sign-in, unless it was for another reason. */
export async function leaveIfOver(): Promise<void> {
  const headers = { Accept: "application/json" };
  const answer = await fetch("/api/v1/session", { headers }).catch(() => null);
  if (answer?.status === 401) goToSignIn();
}

/** Whether a shift is running in any tab: kept over reloads, ended by signing out. */
const SHIFT_HOURS = 16;
const shiftKey = () => `callcenter.shift.${me.value?.id ?? ""}`;

export function shiftIsOn(): boolean {
  const begun = Number(localStorage.getItem(shiftKey()) ?? 0);
  return Date.now() - begun < SHIFT_HOURS * 3_600_000;
}

export function beginShift(): void {
  localStorage.setItem(shiftKey(), String(Date.now()));
}

export function endShift(): void {
  localStorage.removeItem(shiftKey());
}
