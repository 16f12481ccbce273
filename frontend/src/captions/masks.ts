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
