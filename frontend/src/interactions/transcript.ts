import type { Utterance } from "@/api/types";

/** The id of the utterance that is being said at `seconds`, or was said last; by bisection. */
export function spokenAt(items: Pick<Utterance, "id" | "t0">[], seconds: number): string | null {
  let [low, high] = [0, items.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((items[middle]?.t0 ?? 0) <= seconds) low = middle + 1;
    else high = middle;
  }
  return items[low - 1]?.id ?? null;
}

/** Arabic letters as the Persian ones, Hebrew final letters as the common ones. */
const LETTERS: Record<string, string> = {
  "\u064a": "\u06cc",
  "\u0649": "\u06cc",
  "\u0626": "\u06cc",
  "\u0643": "\u06a9",
  "\u0629": "\u0647",
  "\u06c0": "\u0647",
  "\u0622": "\u0627",
  "\u0623": "\u0627",
  "\u0625": "\u0627",
  "\u0624": "\u0648",
  "\u05da": "\u05db",
  "\u05dd": "\u05de",
  "\u05df": "\u05e0",
  "\u05e3": "\u05e4",
  "\u05e5": "\u05e6",
};

/** The text as it is compared: the server's `text.normalize`, as far as a search in one call needs. */
export function folded(text: string): string {
  return [...text.normalize("NFC")]
    .map((char) => LETTERS[char] ?? char)
    .join("")
    .normalize("NFKD")
    .replace(/[\p{M}\u0640\u00ad\u05f3\u05f4'\u2019"]/gu, "")
    .replace(/[\u200c\u05be\s]+/g, " ")
    .replace(/\p{Nd}/gu, (digit) => String(digitOf(digit)))
    .toLowerCase()
    .trim();
}

function digitOf(digit: string): number {
  const code = digit.codePointAt(0) ?? 0;
  if (code < 0x80) return code - 0x30;
  return code >= 0x06f0 ? code - 0x06f0 : code - 0x0660;
}
