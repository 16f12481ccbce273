/**
 * Characters that turn the order of letters round (LRE, RLE, PDF, LRO, RLO and the isolates), as
 * [U+202E]: they can make `gpj.exe` look like `exe.jpg`. Marks that Persian and Hebrew need (ZWNJ,
 * RLM, LRM) stay. As `visible` of callcenter/crm/text.py, which writes out what strangers chose.
 */
const TURNING = /[\u202a-\u202e\u2066-\u2069]/g;
const spelled = (char: string) =>
  `[U+${char.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}]`;

export function visibleText(text: string): string {
  return text.replace(TURNING, spelled);
}

/** The same for every text inside of what a server sent. */
export function visible<T>(value: T): T {
  if (typeof value === "string") return visibleText(value) as T;
  if (Array.isArray(value)) return value.map(visible) as T;
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [name, visible(inner)]),
  ) as T;
}
