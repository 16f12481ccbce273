import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import en from "@/i18n/en.json";
import fa from "@/i18n/fa.json";
import he from "@/i18n/he.json";

type Tree = { [key: string]: string | Tree };

function flat(tree: Tree, prefix = ""): Map<string, string> {
  return new Map(
    Object.entries(tree).flatMap(([key, value]) =>
      typeof value === "string"
        ? [[`${prefix}${key}`, value] as const]
        : [...flat(value, `${prefix}${key}.`)],
    ),
  );
}

const languages = { en: flat(en), he: flat(he), fa: flat(fa) };

function sources(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return sources(path);
    return /\.(vue|ts)$/.test(entry.name) && !entry.name.endsWith(".d.ts") ? [path] : [];
  });
}

const source = sources(join(__dirname, "../src")).map((path) => ({
  path,
  text: readFileSync(path, "utf8"),
}));

describe("texts", () => {
  it("have the same keys in all three languages", () => {
    const keys = [...languages.en.keys()].sort();
    expect([...languages.fa.keys()].sort()).toEqual(keys);
    expect([...languages.he.keys()].sort()).toEqual(keys);
  });

  it("name the same placeholders in all three languages", () => {
    const placeholders = (text: string) => [...new Set(text.match(/\{\w+\}/g) ?? [])].sort().join();
    const missing = [...languages.en].flatMap(([key, text]) =>
      (["fa", "he"] as const)
        // A language may say "one" in a word instead of with the number.
        .filter((l) => placeholders(languages[l].get(key) ?? "") !== placeholders(text))
        .map((l) => `${l}: ${key}`),
    );
    expect(missing).toEqual([]);
  });

  it("are written in the script of their language", () => {
    const without = (texts: Map<string, string>, script: RegExp) =>
      [...texts].filter(([, text]) => !script.test(text)).map(([key]) => key);
    expect(without(languages.fa, /\p{Script=Arabic}/u)).toEqual(["app.name"]);
    expect(without(languages.he, /\p{Script=Hebrew}/u)).toEqual(["app.name", "tier.vip"]);
  });

  it("use Persian letters, never their Arabic look-alikes", () => {
    expect([...languages.fa].filter(([, text]) => /[يكى٠-٩]/.test(text))).toEqual([]);
  });

  it("exist for every key that the screens name", () => {
    const named = source.flatMap(({ text }) =>
      [...text.matchAll(/\bt\(\s*"([^"]+)"/g)].map((m) => m[1] ?? ""),
    );
    expect(named.length).toBeGreaterThan(150);
    expect(named.filter((key) => !languages.en.has(key))).toEqual([]);
  });

  it("stand in the language files only", () => {
    const foreign = source.filter(
      ({ path, text }) => !/i18n.(index|format)\.ts$/.test(path) && /[\u0590-\u06ff]/.test(text),
    );
    expect(foreign.map(({ path }) => path)).toEqual([]);
  });
});

describe("screens", () => {
  it("use logical utilities only, so that they mirror", () => {
    const physical = /[\s"'`:](-?(ml|mr|pl|pr)-|(left|right)-\d|border-[lr][\s"-]|rounded-[lr]-)/;
    const found = source.filter(({ path, text }) => path.endsWith(".vue") && physical.test(text));
    expect(found.map(({ path }) => path)).toEqual([]);
  });
});
