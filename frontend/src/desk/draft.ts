/** What the agent writes about a call. Kept here at every key, on the server every two seconds. */

import { defineStore } from "pinia";
import { computed, nextTick, ref, watch } from "vue";
import { api, Problem } from "@/api";
import type { Interaction } from "@/api/types";
import type { Caption } from "@/captions/captions";
import { MASK, withoutCards } from "@/captions/masks";
import { i18n } from "@/i18n";
import { useLive } from "@/live/live";
import { say, sayProblem } from "@/ui/toasts";
import { type ComplaintDraft, forget, keep as keepHere, kept, type Kept, keptCalls } from "./kept";
import { type Base, baseOf, below, isOvertaken, sendDraft } from "./sending";

const AUTOSAVE_MS = 2000;
const MOST_TRIES = 3;
const noComplaint = (): ComplaintDraft => ({
  open: false,
  subject: "",
  description: "",
  severity: "normal",
  quotes: [],
});

const SUBJECT = 80;
/** The beginning of what was said, up to a word's end: what the complaint is about. */
function shortened(text: string): string {
  const plain = text.replace(/\s+/g, " ").trim();
  return plain.length <= SUBJECT ? plain : `${plain.slice(0, SUBJECT).replace(/\s\S*$/, "")}…`;
}

export const useDraft = defineStore("draft", () => {
  const live = useLive();
  const call = ref<string | null>(null);
  const interaction = ref<string | null>(null);
  const notes = ref("");
  /** What a colleague saved since mine were begun: it stays, above mine. */
  const theirs = ref("");
  const disposition = ref("");
  const complaint = ref<ComplaintDraft>(noComplaint());
  /** Codes of the complaints registered in this call, to be read out to the caller. */
  const registered = ref<string[]>([]);
  /** `overtaken`: other notes were saved since these were begun; sent once more is written. */
  const saved = ref<"clean" | "waiting" | "saving" | "saved" | "failed" | "overtaken">("clean");
  const saving = ref(false);
  /** Until the draft of this browser was opened nothing is written over it. */
  let ready = false;
  let base: Base | null = null;
  let written = "";
  let timer: ReturnType<typeof setTimeout> | undefined;

  /** Whose call I am only asked about, writes about it. */
  const contact = computed(() => (live.isAsked ? null : (live.calls.current ?? live.calls.after)));

  watch(() => contact.value?.call.id ?? null, open, { immediate: true });

  async function open(id: string | null): Promise<void> {
    if (call.value) void flush(call.value, interaction.value, notes.value);
    ready = false;
    call.value = id;
    interaction.value = contact.value?.interaction ?? null;
    show({});
    const mine = id ? await kept(id) : {};
    if (call.value !== id) return;
    show(mine);
    await nextTick(); // what was shown just now is no change to be kept
    if (call.value !== id) return;
    ready = true;
    if (id) await fill(id, mine.notes);
  }

  function show(mine: Partial<Kept>): void {
    base = mine.base ?? null;
    notes.value = written = mine.notes ?? "";
    theirs.value = mine.theirs ?? "";
    disposition.value = mine.disposition ?? "";
    complaint.value = { ...noComplaint(), ...mine.complaint };
    registered.value = mine.registered ?? [];
    saved.value = "clean";
  }

  /** The server's own copy, unless something newer was typed here. */
  async function fill(id: string, typed: string | undefined): Promise<void> {
    const found = await live.interactionOf(id);
    if (call.value !== id || !found) return;
    interaction.value = found;
    const record = await api.interaction(found).catch(() => null);
    if (call.value !== id || !record) return;
    base ??= baseOf(record);
    if (typed === undefined && notes.value === "") {
      base = baseOf(record);
      notes.value = written = record.draft ?? record.notes ?? "";
    } else if (typed && ![record.draft, record.notes].includes(typed)) {
      written = ""; // typed in the last moments before a reload, not sent yet
      keep();
    }
    if (!disposition.value) disposition.value = record.disposition ?? "";
  }

  watch([notes, disposition, complaint, registered], keep, { deep: true });

  function keep(): void {
    if (!call.value || !ready) return;
    const { subject, description, ...rest } = complaint.value;
    const all: Kept = {
      notes: withoutCards(notes.value),
      disposition: disposition.value,
      complaint: {
        ...rest,
        subject: withoutCards(subject),
        description: withoutCards(description),
      },
      registered: registered.value,
      base,
      theirs: theirs.value,
    };
    void keepHere(call.value, all);
    if (notes.value === written) return;
    saved.value = "waiting";
    timer ??= setTimeout(() => {
      timer = undefined;
      void flush(call.value, interaction.value, notes.value);
    }, AUTOSAVE_MS);
  }

  async function flush(of: string | null, id: string | null, text: string): Promise<void> {
    if (!of || text === written) return;
    const stands = base;
    const target = id ?? (await live.interactionOf(of));
    if (!target) return;
    if (of === call.value) saved.value = "saving";
    try {
      const now = await sendDraft(target, text, stands);
      if (of !== call.value) return;
      base = now;
      interaction.value = target;
      written = text;
      saved.value = notes.value === text ? "saved" : "waiting";
      if (keptCalls().includes(of)) keep(); // with what it stands on now
    } catch (problem) {
      if (of !== call.value) return;
      saved.value = isOvertaken(problem) ? "overtaken" : "failed";
      if (isOvertaken(problem)) await standAnew(of, target);
    }
  }

  /** Who writes on after having been told writes over drafts; saved notes stay beside. */
  async function standAnew(of: string, id: string): Promise<void> {
    const record = await api.interaction(id).catch(() => null);
    if (!record || of !== call.value) return;
    const now = baseOf(record);
    if (now.notes !== base?.notes && below(now.notes, notes.value) !== notes.value) {
      theirs.value = now.notes;
    }
    base = now;
  }

  /** Closes the call's file: outcome and notes; true when the server has them. */
  async function close(): Promise<boolean> {
    const id = interaction.value ?? (call.value ? await live.interactionOf(call.value) : null);
    if (!id || !call.value) return false;
    saving.value = true;
    try {
      const kept = await saveBoth(call.value, id);
      if (kept.notes.includes(MASK) && !below(theirs.value, notes.value).includes(MASK)) {
        say(i18n.global.t("notes.masked"));
      }
      written = notes.value;
      theirs.value = "";
      base = baseOf(kept);
      saved.value = "saved";
      forget(call.value);
      return true;
    } catch (problem) {
      sayProblem(problem instanceof Problem ? problem.body : undefined);
      return false;
    } finally {
      saving.value = false;
    }
  }

  /** Two agents of one call may save at the same time: neither writes over the other's notes. */
  async function saveBoth(of: string, id: string): Promise<Interaction> {
    if (!base) await standAnew(of, id);
    for (let tries = 1; ; tries++) {
      try {
        return await api.changeInteraction(id, {
          notes: below(theirs.value, notes.value),
          disposition: disposition.value,
          version: base?.version,
        });
      } catch (problem) {
        if (!isOvertaken(problem) || tries === MOST_TRIES) throw problem;
        await standAnew(of, id);
      }
    }
  }

  function quote(line: Caption): void {
    const chosen = complaint.value.quotes;
    complaint.value.open = true;
    complaint.value.subject ||= shortened(line.text);
    if (!chosen.includes(line.id)) complaint.value.quotes = [...chosen, line.id];
  }

  return {
    call,
    interaction,
    notes,
    theirs,
    disposition,
    complaint,
    registered,
    saved,
    saving,
    contact,
    close,
    quote,
    complaintRegistered: (code: string) => {
      registered.value = [...registered.value, code];
      complaint.value = noComplaint();
    },
  };
});
