import { createPinia } from "pinia";
import { createApp } from "vue";
import "./app.css";
import App from "./app/App.vue";
import { router } from "./app/router";
import { openDrafts } from "./desk/kept";
import { i18n, LANGUAGES, setLanguage, setTimeZone } from "./i18n";
import type { Language } from "./i18n/format";
import { recallLive } from "./live/live";
import { unlock } from "./session/sealed";
import { goToSignIn, loadSession } from "./session/session";
import { followTheme } from "./session/theme";

function languageOf(user: string | null | undefined): Language {
  const wishes = [user, document.documentElement.lang, navigator.language.slice(0, 2)];
  return (wishes.find((w) => LANGUAGES.includes(w as Language)) ?? "en") as Language;
}

async function start(): Promise<void> {
  followTheme();
  const session = await loadSession();
  if (!session) {
    goToSignIn();
    return;
  }
  await unlock(session.draft_key ?? "");
  openDrafts(session.user.id);
  await recallLive();
  setTimeZone(session.site?.timezone);
  await setLanguage(languageOf(session.user.language));
  createApp(App).use(createPinia()).use(i18n).use(router).mount("#app");
}

void start();
