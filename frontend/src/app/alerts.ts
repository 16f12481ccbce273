import { watch } from "vue";
import { startRinging, stopRinging } from "@/audio/ring";
import { useText } from "@/i18n";
import { formatPhone } from "@/i18n/format";
import { leading } from "@/live/leader";
import { useLive } from "@/live/live";
import type { PhraseSaid } from "@/live/payload";
import { say } from "@/ui/toasts";

/** Ringing, seen and heard outside the page: sound, notification, title, icon. */
export function useAlerts(): void {
  const live = useLive();
  const { t } = useText();
  let shown: Notification | null = null;

  const who = () => {
    const offer = live.calls.offer;
    const name = offer?.customer?.name ?? offer?.caller.name;
    return name ?? (formatPhone(offer?.caller.number) || t("caller.withheld"));
  };

  function notify(call: string): void {
    if (!document.hidden || !("Notification" in window) || Notification.permission !== "granted")
      return;
    shown = new Notification(t("pop.rings", { who: who() }), { tag: call, silent: true });
    shown.onclick = () => window.focus();
  }

  function tellPhrase(said: PhraseSaid): void {
    const { name, phrase, leg } = said;
    const to = { name: "call", params: { id: said.interaction }, query: { t: String(said.t0) } };
    const tone = said.severity === "note" ? "info" : "bad";
    const text = t("phrases.said", { name, phrase, who: t(`leg.${leg}`) });
    say(text, tone, 30_000, { to, text: t("phrases.open") });
  }

  watch(
    () => [live.calls.offer?.call.id, leading.value] as const,
    ([call, leads], before) => {
      if (call && leads) {
        startRinging();
        if (call !== before?.[0]) notify(call);
      } else {
        stopRinging();
        shown?.close();
        shown = null;
      }
    },
    { immediate: true },
  );

  watch(
    () => [live.tone, live.calls.offer?.call.id, document.documentElement.lang],
    () => {
      const marks = {
        idle: "",
        ringing: "🔔 ",
        dialling: "☏ ",
        talking: "● ",
        held: "❚❚ ",
        wrap_up: "✎ ",
      };
      const name = live.calls.offer ? who() : t("app.name");
      document.title = `${marks[live.tone]}${name}`;
    },
    { immediate: true },
  );

  watch(
    () => live.said,
    (now, before) => {
      const last = before.at(-1)?.seq ?? 0;
      for (const one of now) if (one.seq > last) tellPhrase(one);
    },
  );

  watch(
    () => live.calls.lastEnd,
    (end) => {
      if (!end || end.answered || !end.reason) return;
      say(t(end.reason === "consulted" ? "pop.askedNoMore" : "pop.gone"));
    },
  );
}
