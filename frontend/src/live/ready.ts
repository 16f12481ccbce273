import { computed } from "vue";
import { useText } from "@/i18n";
import { useLive } from "./live";

/** Whether the socket takes commands, and what to say on a button that has to wait for it. */
export function useReady() {
  const live = useLive();
  const { t } = useText();
  return {
    ready: computed(() => live.online && !live.busy),
    why: computed(() => (live.online ? undefined : t("callbar.connecting"))),
  };
}
