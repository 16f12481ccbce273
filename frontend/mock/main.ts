/** Puts a scripted API in place of the server, then starts the real application. */

import { dataOf } from "./data";
import { qualityOf } from "./quality";

const query = new URLSearchParams(window.location.search);
const language = (query.get("lang") ?? "en") as "fa" | "he" | "en";
const scene = query.get("scene") ?? "idle";
const data = dataOf(language);
const quality = qualityOf(language, data);
const empty = query.has("empty");

if (query.get("theme")) localStorage.setItem("callcenter.theme", query.get("theme") ?? "system");
if (scene !== "shift") localStorage.setItem("callcenter.shift.u1", String(Date.now()));
else localStorage.clear();

const dispositions = [
  { id: "resolved", label_en: "Resolved", label_fa: "حل شد", label_he: "נפתר" },
  { id: "complaint", label_en: "Complaint", label_fa: "شکایت", label_he: "תלונה" },
  { id: "information", label_en: "Information", label_fa: "اطلاعات", label_he: "מידע" },
];
const LEAD = [
  "calls.take",
  "users.read",
  "views.share",
  "customers.read",
  "phrases.manage",
  "quality.read",
  "quality.evaluate",
  "quality.reply",
  "quality.manage",
  "conversation.correct",
  "disclosures.read",
];
const session = {
  user: { ...data.me, role: "agent", extension: "201", language },
  csrf_token: "x",
  draft_key: "ab".repeat(32),
  ...(query.has("lead") && {
    permissions: Object.fromEntries(LEAD.map((one) => [one, "all"])),
  }),
  site: { name: "Mock", timezone: "Asia/Tehran", region: "IR", dispositions },
};
const page = (items: unknown[]) => ({ items: empty ? [] : items, next: null });
const rows = (n: number) => Array.from({ length: n }, (_, i) => data.interaction(i));

function answer(path: string, search: URLSearchParams): unknown {
  const [, noun, id, part] = path.split("/");
  if (noun === "session") return session;
  if (noun === "site")
    return {
      ...session.site,
      dispositions,
      queues: ["support", "sales"],
      lines: ["100", "200"].map((number) => ({ number })),
    };
  if (noun === "interactions") {
    if (part === "transcript") return { state: "done", items: data.utterances };
    if (part === "conversation") return data.conversation;
    if (part === "corrections") return { items: [quality.correction] };
    if (part === "comments") return { items: data.comments };
    if (part === "moments")
      return { path: "/moments/x", expires_at: new Date(Date.now() + 6e8).toISOString() };
    if (part === "recording")
      return {
        id: "r1",
        call_id: "call0",
        format: "wav",
        seconds: 27,
        size: 1,
        sha256: "",
        legs: {
          agent: { channel: 0, offset: 0, seconds: 27 },
          customer: { channel: 1, offset: 0, seconds: 27 },
        },
        interrupted: false,
        audio: "/silence.wav",
      };
    if (id) return data.interaction(Number(id.slice(1)) || 0);
    if (search.get("outcome")?.includes("missed"))
      return page([data.interaction(3), data.interaction(5)]);
    if (search.get("call_id")) return page([data.interaction(0)]);
    return page(rows(search.get("limit") === "30" ? 5 : 14));
  }
  if (noun === "recordings" && !id) return page(data.recorded);
  if (noun === "views") return { items: empty ? [] : data.views };
  if (noun === "users") return page([data.me].map((one) => ({ ...one, role: "agent" })));
  if (noun === "recordings") {
    const wave = (phase: number) =>
      Array.from({ length: 540 }, (_, i) =>
        Math.max(
          4,
          Math.round((Math.sin(i / 44 + phase) > 0.1 ? 150 : 8) * Math.abs(Math.sin(i * 1.7)) + 12),
        ),
      );
    return { rate: 20, seconds: 27, channels: { agent: wave(0), customer: wave(3.14) } };
  }
  if (noun === "customers") {
    if (part === "timeline")
      return page([
        ...rows(5).map((i) => ({
          kind: "interaction",
          at: i.started_at,
          interaction: i,
          complaint: null,
        })),
        {
          kind: "complaint",
          at: data.complaint(0).created_at,
          interaction: null,
          complaint: data.complaint(0),
        },
      ]);
    if (id) return data.customer(Number(id.slice(1)) || 0);
    return page([0, 1, 2, 3, 4].map(data.customer));
  }
  if (noun === "complaints" && id === "causes") return page([]);
  if (noun === "complaints" && id === "board")
    return {
      columns: [0, 1, 2].map((n) => {
        const card = data.complaint(n);
        return { stage: card.stage, count: 1, items: [card] };
      }),
    };
  if (noun === "incidents") return page([]);
  if (noun === "complaints") return id ? data.complaint(0) : page([0, 1, 2].map(data.complaint));
  if (noun === "scorecards") return id ? quality.scorecard : page([quality.scorecard]);
  if (noun === "evaluations") return id ? quality.evaluation : page(quality.evaluations);
  if (noun === "sampled-calls") return page(quality.sampled);
  if (noun === "sampling-rules") return page(quality.rules);
  if (noun === "trends")
    return { scores: quality.scores, questions: quality.answers, conversations: quality.spoken }[
      id as "scores"
    ];
  if (noun === "phrase-lists") return page(quality.phraseLists);
  if (noun === "sentences") return { ...page(quality.sentences), also: [] };
  if (noun === "disclosures") return page(quality.disclosures);
  if (noun === "factors")
    return { items: empty ? [] : quality.factors, recovery_codes_left: 2, needed: true };
  if (noun === "sessions") return { items: quality.sessions, current: "w0" };
  if (noun === "agents") return { items: [] };
  return null;
}

const realFetch = window.fetch.bind(window);
window.fetch = async (input, init) => {
  const request = new Request(input, init);
  const url = new URL(request.url);
  if (!url.pathname.startsWith("/api/")) return realFetch(input, init);
  if (query.has("broken") && !url.pathname.endsWith("/session"))
    return Response.json({ type: "x", detail: "The database is locked." }, { status: 500 });
  return Response.json(answer(url.pathname.replace("/api/v1", ""), url.searchParams));
};

Object.assign(window, { mock: { scene, data } });
await import("../src/main");
