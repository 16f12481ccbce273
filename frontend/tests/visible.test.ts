import { describe, expect, it } from "vitest";
import { visible, visibleText } from "@/api/visible";

describe("what turns letters round", () => {
  it("is written out, each by its number", () => {
    expect(visibleText("Bank\u202egpj.exe\u2066")).toBe("Bank[U+202E]gpj.exe[U+2066]");
    for (const char of "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069") {
      expect(visibleText(char)).toMatch(/^\[U\+20[26][0-9A-E]\]$/);
    }
  });

  it("leaves ordinary Persian and Hebrew as they are", () => {
    for (const text of ["می\u200cرسد", "שלום\u200f!", "سلام Ali\u200e", "", "🙂"]) {
      expect(visibleText(text)).toBe(text);
    }
  });

  it("is found wherever it is, and nothing else is touched", () => {
    const sent = { items: [{ name: "a\u202eb", at: 3, none: null, yes: true }], next: null };
    expect(visible(sent)).toEqual({
      items: [{ name: "a[U+202E]b", at: 3, none: null, yes: true }],
      next: null,
    });
    expect(visible(undefined)).toBe(undefined);
  });
});
