/** Texts in which something was taken out, as the server writes them: ▇▇▇▇ in its place. Pure. */

export const MASK = "▇▇▇▇";
const KINDS = ["card", "national_id"] as const;

/** A stretch of text, or a mask with what stood there; a kind that a site made itself is "other". */
export type Part = { text: string } | { mask: (typeof KINDS)[number] | "other" };

/** The text in parts; the masks' kinds come in the order of the masks. */
export function partsOf(text: string, masks: readonly string[] = []): Part[] {
  return text.split(MASK).flatMap((piece, place) => {
    const kind = KINDS.find((known) => known === masks[place - 1]) ?? "other";
    const mask: Part[] = place ? [{ mask: kind }] : [];
    return piece ? [...mask, { text: piece }] : mask;
  });
}

const CARD = /(?<![\p{Nd}+])(?:\p{Nd}[ \-.\u200c]?){12,18}\p{Nd}(?!\p{Nd})/gu;
/** Where the digits of a script begin: Latin, Arabic, Persian. */
const ZEROS = [0x30, 0x660, 0x6f0];

function digitsOf(text: string): number[] {
  return [...text].flatMap((sign) => {
    const code = sign.codePointAt(0) ?? 0;
    const zero = ZEROS.find((one) => code >= one && code <= one + 9);
    return zero === undefined ? [] : [code - zero];
  });
}

/** Whether the last digit checks the others (ISO/IEC 7812-1). */
function checks(digits: number[]): boolean {
  const sum = digits.reverse().reduce((total, digit, place) => {
    const value = digit * (1 + (place % 2));
    return total + (value > 9 ? value - 9 : value);
  }, 0);
  return sum % 10 === 0;
}

/** What is typed, fit to be kept in this browser: no card numbers. The server's own search for them
 * goes further (words, ids, what a site adds); it never sees what stays here. */
export function withoutCards(text: string): string {
  return text.replace(CARD, (found) => {
    const digits = digitsOf(found);
    return digits[0] !== 0 && digits.length >= 13 && checks([...digits]) ? MASK : found;
  });
}
