/** Pictures of every screen: `node mock/shots.mjs [folder] [only]`; axe-core looks at each. */

import { mkdirSync, mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { createServer } from "vite";

const folder = process.argv[2] ?? fileURLToPath(new URL("./shots", import.meta.url));
const only = process.argv[3] ? new RegExp(process.argv[3]) : /./;
mkdirSync(folder, { recursive: true });
const axe = readFileSync(fileURLToPath(import.meta.resolve("axe-core/axe.min.js")), "utf8");

const SCREENS = {
  shift: "/shift?scene=shift",
  idle: "/desk?scene=idle",
  ringing: "/desk?scene=ringing",
  choice: "/desk?scene=choice",
  talking: "/desk?scene=talking",
  unknown: "/desk?scene=unknown",
  wrapup: "/desk?scene=wrapup",
  complaint: "/desk?scene=complaint",
  calls: "/calls?scene=idle",
  empty: "/calls?scene=idle&empty=1",
  broken: "/calls?scene=idle&broken=1",
  call: "/calls/i0?scene=idle",
  recordings: "/recordings?scene=idle&lead=1",
  narrowed:
    "/recordings?scene=idle&lead=1&words=order&period=days&from=2026-11-01&min=5&outcome=failed",
  silent: "/recordings?scene=idle&empty=1",
  search: "/search?scene=idle&lead=1&q=cancel",
  asking: "/search?scene=idle&lead=1",
  nowhere: "/search?scene=idle&lead=1&q=cancel&empty=1",
  phrases: "/phrases?scene=idle&lead=1",
  evaluations: "/quality?scene=idle&lead=1",
  waiting: "/quality?scene=idle&lead=1&view=waiting",
  trends: "/quality?scene=idle&lead=1&view=trends",
  scorecards: "/quality?scene=idle&lead=1&view=scorecards",
  rules: "/quality?scene=idle&lead=1&view=rules",
  scorecard: "/quality/scorecards/s1?scene=idle&lead=1",
  evaluation: "/quality/evaluations/e0?scene=idle&lead=1",
  unjudged: "/quality?scene=idle&lead=1&empty=1",
  unreachable: "/quality?scene=idle&lead=1&broken=1",
  security: "/security?scene=idle&lead=1",
  disclosures: "/disclosures?scene=idle&lead=1",
  customers: "/customers?scene=idle",
  customer: "/customers/c0?scene=idle",
  complaints: "/complaints?scene=idle",
  case: "/complaints/k0?scene=idle",
};

const server = await createServer({
  configFile: fileURLToPath(new URL("./vite.config.ts", import.meta.url)),
  logLevel: "error",
});
await server.listen();
const base = `http://127.0.0.1:${server.httpServer.address().port}`;
const args = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-quic"];
args.push("--no-first-run", "--disable-component-update", "--disable-sync");
args.push("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream");
const browser = await chromium.launchPersistentContext(mkdtempSync(`${tmpdir()}/shots-`), {
  executablePath: "/usr/bin/chromium",
  headless: true,
  args,
});
let findings = 0;
for (const lang of ["en", "fa", "he"]) {
  for (const theme of ["light", "dark"]) {
    for (const width of [1440, 1280, 900, 390]) {
      for (const [name, path] of Object.entries(SCREENS)) {
        const label = `${name}-${lang}-${theme}-${width}`;
        if (!only.test(label)) continue;
        const page = await browser.newPage();
        page.on("pageerror", (error) => console.log(label, "ERROR", error.message));
        page.on(
          "console",
          (m) => ["error", "warning"].includes(m.type()) && console.log(label, m.text()),
        );
        await page.setViewportSize({ width, height: width === 390 ? 844 : 900 });
        await page.goto(`${base}${path}&lang=${lang}&theme=${theme}`);
        await page.waitForSelector("main");
        if (name === "complaint")
          await page
            .getByTestId("complaint-open")
            .click({ force: true, timeout: 3000 })
            .catch(() => null);
        await page.waitForTimeout(500);
        await page.screenshot({ path: `${folder}/${label}.png` });
        await page.evaluate(axe);
        const result = await page.evaluate(() =>
          globalThis.axe.run({ resultTypes: ["violations"] }),
        );
        for (const v of result.violations) {
          findings += 1;
          console.log(
            label,
            "AXE",
            v.id,
            v.nodes
              .map((n) => `${n.target} ${n.any[0]?.message ?? ""}`)
              .slice(0, 3)
              .join(" | "),
          );
        }
        await page.close();
      }
    }
  }
}
console.log(`axe findings: ${findings}`);
await browser.close();
await server.close();
process.exit(findings ? 1 : 0);
