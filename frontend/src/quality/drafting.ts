import { onScopeDispose, ref, type ShallowRef } from "vue";
import { api, Problem } from "@/api";
import type { Evaluation } from "@/api/types";
import { problemText } from "@/ui/toasts";
import { type Answers, answersOf, type Given, kept } from "./evaluation";

const PAUSE = 400;

/** A draft that keeps itself: what is answered is sent after a short pause, one save at a time. */
export function useDraft(evaluation: ShallowRef<Evaluation | null>) {
  const answers = ref<Answers>({});
  const summary = ref("");
  const error = ref("");
  const saving = ref(false);
  let waiting: ReturnType<typeof setTimeout> | undefined;
  let running: Promise<void> = Promise.resolve();

  function start(loaded: Evaluation): void {
    evaluation.value = loaded;
    answers.value = answersOf(loaded);
    summary.value = loaded.summary;
  }

  function give(question: string, given: Given): void {
    answers.value = { ...answers.value, [question]: given };
    touch();
  }

  function touch(): void {
    saving.value = true;
    clearTimeout(waiting);
    waiting = setTimeout(() => void keep(), PAUSE);
  }

  /** Send what is not kept yet; resolves when it is. */
  function keep(): Promise<void> {
    clearTimeout(waiting);
    running = running.then(async () => {
      const now = evaluation.value;
      if (!now?.mine || !saving.value) return;
      saving.value = false;
      error.value = "";
      try {
        const body = { answers: kept(answers.value), summary: summary.value, version: now.version };
        evaluation.value = await api.saveEvaluation(now.id, body);
      } catch (problem) {
        saving.value = true;
        error.value = problemText(problem instanceof Problem ? problem.body : undefined);
      }
    });
    return running;
  }

  onScopeDispose(() => void keep());
  return { answers, summary, error, saving, start, give, touch, keep };
}
