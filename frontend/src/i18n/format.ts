/** Numbers, dates and times as the reader writes them: Jalali with Persian digits in Persian. */

export type Language = "fa" | "he" | "en";

const LOCALES: Record<Language, string> = {
  fa: "fa-IR-u-ca-persian-nu-arabext",
  he: "he-IL-u-ca-gregory",
  en: "en-GB-u-ca-gregory",
};

const cache = new Map<string, Intl.DateTimeFormat>();

function dateFormat(
  language: Language,
  zone: string | undefined,
  options: Intl.DateTimeFormatOptions,
) {
  const key = JSON.stringify([language, zone, options]);
  let format = cache.get(key);
  if (!format) {
    format = new Intl.DateTimeFormat(LOCALES[language], { ...options, timeZone: zone });
    cache.set(key, format);
  }
  return format;
}

function part(parts: Intl.DateTimeFormatPart[], type: string): string {
  return parts.find((p) => p.type === type)?.value ?? "";
}

/** `۲ آذر ۱۴۰۵`, `23 בנובמבר 2026`, `23 November 2026`. */
export function formatDate(iso: string | Date, language: Language, zone?: string): string {
  const options: Intl.DateTimeFormatOptions = { day: "numeric", month: "long", year: "numeric" };
  const format = dateFormat(language, zone, options);
  const date = new Date(iso);
  if (language !== "fa") return format.format(date);
  // Chromium's own order of the Persian calendar puts the year first.
  const parts = format.formatToParts(date);
  return `${part(parts, "day")} ${part(parts, "month")} ${part(parts, "year")}`;
}

/** Short date for tables: `۱۴۰۵/۰۹/۰۲`, `23.11.2026`, `23/11/2026`. */
export function formatShortDate(iso: string | Date, language: Language, zone?: string): string {
  const options: Intl.DateTimeFormatOptions = { day: "2-digit", month: "2-digit", year: "numeric" };
  const format = dateFormat(language, zone, options);
  if (language !== "fa") return format.format(new Date(iso));
  const parts = format.formatToParts(new Date(iso));
  return [part(parts, "year"), part(parts, "month"), part(parts, "day")].join("/");
}

export function formatTime(iso: string | Date, language: Language, zone?: string): string {
  const options: Intl.DateTimeFormatOptions = {
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
  };
  return dateFormat(language, zone, options).format(new Date(iso));
}

/** The digits of `text` in the language's own script; everything else stays. */
export function localDigits(text: string, language: Language): string {
  if (language !== "fa") return text;
  return text.replace(/[0-9]/g, (digit) => String.fromCharCode(0x06f0 + Number(digit)));
}

export function formatNumber(value: number, language: Language): string {
  return new Intl.NumberFormat(LOCALES[language]).format(value);
}

/** A share of 0 to 1 as a whole percentage. */
export function formatShare(value: number, language: Language): string {
  return new Intl.NumberFormat(LOCALES[language], {
    style: "percent",
    maximumFractionDigits: 0,
  }).format(value);
}

/** A share of one as a percentage, with one digit after the point where it is small. */
export function formatPercent(share: number, language: Language): string {
  return new Intl.NumberFormat(LOCALES[language], {
    style: "percent",
    maximumFractionDigits: share < 0.1 ? 1 : 0,
  }).format(share);
}

/** Seconds as `m:ss`, from one hour on `h:mm:ss`. To be shown left to right in every language. */
export function formatDuration(seconds: number, language: Language): string {
  const whole = Math.max(0, Math.floor(Number.isFinite(seconds) ? seconds : 0));
  const two = (n: number) => String(n).padStart(2, "0");
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  return localDigits(h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`, language);
}

/** The country's name for an ISO 3166 code; the code itself when there is no name. */
export function regionName(code: string | null | undefined, language: Language): string {
  if (!code || !/^[A-Z]{2}$/.test(code)) return code ?? "";
  return new Intl.DisplayNames([language], { type: "region" }).of(code) ?? code;
}

/** True where both instants fall on one day of the zone. */
export function sameDay(a: Date, b: Date, zone?: string): boolean {
  return formatShortDate(a, "en", zone) === formatShortDate(b, "en", zone);
}

const PHONE = /^\+(98|972|1|44|49|33|971|90)(\d+)$/;

/** An E.164 number in readable groups, `+98 912 345 6789`; anything else as it came. */
export function formatPhone(number: string | null | undefined): string {
  if (!number) return "";
  const match = PHONE.exec(number);
  if (!match) return number;
  const rest = match[2] ?? "";
  if (match[1] === "98" && rest.length === 10 && !rest.startsWith("9")) {
    return `+98 ${rest.slice(0, 2)} ${rest.slice(2, 6)} ${rest.slice(6)}`; // a land line
  }
  if (match[1] === "44" && rest.length === 10) return `+44 ${rest.slice(0, 4)} ${rest.slice(4)}`;
  const groups = rest.length > 7 ? [rest.slice(0, -7), rest.slice(-7, -4), rest.slice(-4)] : [rest];
  return [`+${match[1]}`, ...groups].join(" ");
}
