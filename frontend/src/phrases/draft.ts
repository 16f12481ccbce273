/** A phrase list while somebody writes it. Pure. */

import type { components } from "@/api/schema";
import type { PhraseList } from "@/api/types";

export const SEVERITIES = ["note", "warning", "urgent"] as const;
export const TONES = {
  note: "",
  warning: "bg-held-wash! text-held-ink!",
  urgent: "bg-danger-wash! text-danger-ink!",
} as const;

export interface Draft {
  id: string | null;
  version: number | null;
  name: string;
  language: PhraseList["language"];
  severity: PhraseList["severity"];
  leg: "" | "agent" | "customer";
  lines: string;
  notice: boolean;
}

export function draftOf(list: PhraseList | null, language: PhraseList["language"]): Draft {
  return {
    id: list?.id ?? null,
    version: list?.version ?? null,
    name: list?.name ?? "",
    language: list?.language ?? language,
    severity: list?.severity ?? "warning",
    leg: list?.leg ?? "",
    lines: (list?.phrases ?? []).join("\n"),
    notice: list?.notice ?? true,
  };
}

/** What goes to the server. */
export function bodyOf(draft: Draft): components["schemas"]["PhraseListIn"] {
  const phrases = draft.lines.split("\n").map((line) => line.trim());
  return {
    name: draft.name.trim(),
    language: draft.language,
    severity: draft.severity,
    leg: draft.leg || null,
    phrases: phrases.filter(Boolean),
    notice: draft.notice,
  };
}
