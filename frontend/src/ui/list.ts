import { ref, shallowRef } from "vue";
import { Problem } from "@/api";
import type { Page } from "@/api/types";
import { problemText } from "./toasts";

/** A paged list: loading, error, rows, and more of them on request. */
export function useList<T>(ask: (cursor: string | null) => Promise<Page<T>>) {
  const items = shallowRef<T[]>([]);
  const next = ref<string | null>(null);
  const loading = ref(true);
  const error = ref<string | null>(null);
  let turn = 0;

  async function load(cursor: string | null = null): Promise<void> {
    turn += 1;
    const mine = turn;
    loading.value = true;
    error.value = null;
    try {
      const page = await ask(cursor);
      if (mine !== turn) return; // a newer question was asked meanwhile
      items.value = cursor ? [...items.value, ...page.items] : page.items;
      next.value = page.next ?? null;
    } catch (problem) {
      if (mine !== turn) return;
      error.value = problemText(problem instanceof Problem ? problem.body : undefined);
    } finally {
      if (mine === turn) loading.value = false;
    }
  }

  return { items, next, loading, error, load, more: () => load(next.value) };
}

/** One record: loading, error, value; or that a reason must be given first, or it was erased. */
export function useRecord<T>(ask: () => Promise<T>) {
  const value = shallowRef<T | null>(null);
  const loading = ref(true);
  const error = ref<string | null>(null);
  const reasonNeeded = ref(false);
  const erased = ref(false);

  async function load(): Promise<void> {
    loading.value = value.value === null;
    error.value = null;
    reasonNeeded.value = false;
    erased.value = false;
    try {
      value.value = await ask();
    } catch (problem) {
      const body = problem instanceof Problem ? problem.body : undefined;
      reasonNeeded.value = (body?.type ?? "").endsWith(":reason-needed");
      erased.value = (body?.type ?? "").endsWith(":erased");
      error.value = problemText(body);
    } finally {
      loading.value = false;
    }
  }

  return { value, loading, error, reasonNeeded, erased, load };
}

/** Calls `run` once the calls to it have paused for `milliseconds`. */
export function debounced(run: () => void, milliseconds: number): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(run, milliseconds);
  };
}
