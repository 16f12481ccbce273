/** Fails when `src/api/schema.d.ts` is not what `openapi.json` generates. */

import { readFileSync } from "node:fs";
import openapiTS, { astToString } from "openapi-typescript";

const root = new URL("../", import.meta.url);
const fresh = astToString(await openapiTS(new URL("openapi.json", root)));
const kept = readFileSync(new URL("src/api/schema.d.ts", root), "utf8");
const bare = (text) => text.replace(/^\/\*\*[\s\S]*?\*\/\s*/, "").trim();
if (bare(fresh) !== bare(kept)) {
  console.error("src/api/schema.d.ts is not current: npm run generate");
  process.exit(1);
}
