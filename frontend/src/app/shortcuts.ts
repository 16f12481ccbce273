/** Keys by their place on the keyboard (`event.code`), the same on Persian and Hebrew ones. */

import { ref } from "vue";

export type Action =
  "answer" | "decline" | "end" | "hold" | "mute" | "transfer" | "search" | "help";

export interface Shortcut {
  action: Action;
  code: string;
  control: boolean;
  shift: boolean;
  label: string;
}

const call = (action: Action, letter: string): Shortcut => ({
  action,
  code: `Key${letter}`,
  control: true,
  shift: true,
  label: `Ctrl + Shift + ${letter}`,
});

export const SHORTCUTS: readonly Shortcut[] = [
  call("answer", "A"),
  call("decline", "D"),
  call("end", "E"),
  call("hold", "H"),
  call("mute", "M"),
  call("transfer", "T"),
  { action: "search", code: "Slash", control: false, shift: false, label: "/" },
  { action: "search", code: "KeyK", control: true, shift: false, label: "Ctrl + K" },
  { action: "help", code: "Slash", control: false, shift: true, label: "?" },
];

type Press = Pick<KeyboardEvent, "code" | "ctrlKey" | "metaKey" | "shiftKey" | "altKey">;

const OFF = "callcenter.single-keys-off";
/** Single keys can be switched off (WCAG 2.1.4). */
export const singleKeys = ref(localStorage.getItem(OFF) !== "1");

export function setSingleKeys(on: boolean): void {
  singleKeys.value = on;
  localStorage.setItem(OFF, on ? "0" : "1");
}

/** What a key press asks for. Keys without Ctrl mean nothing while somebody writes. */
export function actionOf(press: Press, writing: boolean): Action | null {
  if (press.altKey) return null;
  const control = press.ctrlKey || press.metaKey;
  const found = SHORTCUTS.find(
    (s) => s.code === press.code && s.control === control && s.shift === press.shiftKey,
  );
  if (!found) return null;
  if (!found.control && (writing || !singleKeys.value)) return null;
  return found.action;
}

export function isWriting(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName))
  );
}
