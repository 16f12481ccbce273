import { computed } from "vue";
import { createI18n, useI18n } from "vue-i18n";
import {
  formatDate,
  formatDuration,
  formatNumber,
  formatPercent,
  formatShare,
  formatShortDate,
  formatTime,
  type Language,
  regionName,
  sameDay,
} from "./format";

export const LANGUAGES: readonly Language[] = ["fa", "he", "en"];
export const LANGUAGE_NAMES: Record<Language, string> = { fa: "فارسی", he: "עברית", en: "English" };

const texts: Record<Language, () => Promise<{ default: Record<string, unknown> }>> = {
  fa: () => import("./fa.json"),
  he: () => import("./he.json"),
  en: () => import("./en.json"),
};

export const i18n = createI18n({
  legacy: false,
  locale: "en",
  fallbackLocale: false as never,
  missingWarn: import.meta.env.DEV,
  messages: {},
});

let zone: string | undefined;

/** Dates and times are shown in the site's time zone. */
export function setTimeZone(name: string | null | undefined): void {
  zone = name ?? undefined;
}

export function directionOf(language: Language): "rtl" | "ltr" {
  return language === "en" ? "ltr" : "rtl";
}

/** Loads the language's texts, shows them and turns the page its way round. */
export async function setLanguage(language: Language): Promise<void> {
  const loaded = await texts[language]();
  i18n.global.setLocaleMessage(language, loaded.default as never);
  (i18n.global.locale as unknown as { value: string }).value = language;
  document.documentElement.lang = language;
  document.documentElement.dir = directionOf(language);
}

/** `t` and the formatters of the current language. */
export function useText() {
  const { t, te, locale } = useI18n();
  const language = computed(() => locale.value as Language);
  const formatters = {
    date: (iso: string | Date) => formatDate(iso, language.value, zone),
    shortDate: (iso: string | Date) => formatShortDate(iso, language.value, zone),
    time: (iso: string | Date) => formatTime(iso, language.value, zone),
    share: (value: number) => formatShare(value, language.value),
    number: (value: number) => formatNumber(value, language.value),
    percent: (share: number) => formatPercent(share, language.value),
    duration: (seconds: number) => formatDuration(seconds, language.value),
    milliseconds: (value: number) =>
      t("units.milliseconds", { n: formatNumber(Math.round(value), language.value) }),
    region: (code: string | null | undefined) => regionName(code, language.value),
    /** For a box that is left to right in every language; read from the reader's own side. */
    when: (iso: string) => {
      const [day, time] = [
        formatShortDate(iso, language.value, zone),
        formatTime(iso, language.value, zone),
      ];
      if (sameDay(new Date(iso), new Date(), zone)) return time;
      return directionOf(language.value) === "ltr" ? `${day} ${time}` : `${time} ${day}`;
    },
    /** The translation of a code such as an outcome; the code itself when none is known. */
    code: (group: string, code: string | null | undefined) =>
      code ? (te(`${group}.${code}`) ? t(`${group}.${code}`) : code) : "",
  };
  return { t, te, language, f: formatters };
}
