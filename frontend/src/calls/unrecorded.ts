/** While a form for card data is open, nothing of the call is kept. */

import { computed, onScopeDispose, ref, type Ref } from "vue";
import { api } from "@/api";
import type { Site } from "@/api/types";
import { useLive } from "@/live/live";
import { session } from "@/session/session";
import { keptState } from "./calls";

type Forms = Site["recording_forms"];
const LOOK_MS = 5000;
const RENEW_SECONDS = 30;

const known = ref<Forms>();
let asked: Promise<void> | undefined;

/** The pages that an administrator named in the settings. */
export function recordingForms(): Ref<Forms> {
  known.value ??= session.value?.site?.recording_forms;
  if (!known.value) {
    asked ??= api.site().then(
      (site) => void (known.value = site.recording_forms),
      () => void (asked = undefined),
    );
  }
  return computed(() => known.value ?? []);
}

/**
 * Pause from here to the end of the scope. The server ends a pause by itself, so a page that dies
 * leaves none behind; one that lives asks for more time before that.
 */
export function useUnrecorded(call: string) {
  const live = useLive();
  const asking = ref(false);
  const kept = () => {
    const contact = live.calls.current;
    return contact?.call.id === call ? contact : null;
  };

  async function pause(): Promise<void> {
    const contact = kept();
    if (!contact || !["running", "failed", "paused"].includes(keptState(contact))) return;
    asking.value = true;
    await live.send("recording.pause", { call, form: true });
    asking.value = false;
  }

  function renew(): void {
    const contact = kept();
    const until = contact && keptState(contact) === "paused" ? contact.call.kept.resumesAt : null;
    if (until && Date.parse(until) - Date.now() < RENEW_SECONDS * 1000) {
      void live.send("recording.pause", { call, form: true }, true);
    }
  }

  void pause();
  const timer = setInterval(renew, LOOK_MS);
  onScopeDispose(() => {
    clearInterval(timer);
    const contact = kept();
    if (contact && keptState(contact) === "paused") {
      void live.send("recording.resume", { call, form: true }, true);
    }
  });
  return { asking, pause };
}
