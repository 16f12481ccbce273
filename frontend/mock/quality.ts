/** Invented scorecards, evaluations, trends, phrases and sessions, in the page's language. */

import type { Data } from "./data";

const words = {
  en: {
    card: "Support calls",
    sections: ["Greeting", "Care"],
    questions: ["Says the own name?", "Listens without cutting in", "Checks who is calling"],
    remark: "Cuts in before the customer has finished.",
    summary: "Well solved; mind the tone when the customer repeats.",
    list: "Wants to leave",
    phrases: ["cancel my contract", "consumer office", "lawyer*"],
    reason: "Court order 2211: the customer's lawyer asks for a copy.",
    masked: "My card is ▇▇▇▇, please cancel the contract.",
    rule: "Three calls a week",
  },
  he: {
    card: "שיחות תמיכה",
    sections: ["פתיחה", "יחס ללקוח"],
    questions: ["מציג את עצמו בשם?", "מקשיב בלי לקטוע", "מאמת את זהות הלקוח"],
    remark: "קטע את הלקוחה לפני שסיימה.",
    summary: "נפתר היטב; כדאי לשים לב לטון כשהלקוחה חוזרת על דבריה.",
    list: "רוצה לעזוב",
    phrases: ["לבטל את החוזה", "הגנת הצרכן", "עורך דין"],
    reason: "צו בית משפט 2211: עורך הדין של הלקוחה ביקש העתק.",
    masked: "הכרטיס שלי ▇▇▇▇, בבקשה לבטל את החוזה.",
    rule: "שלוש שיחות בשבוע",
  },
  fa: {
    card: "تماس‌های پشتیبانی",
    sections: ["آغاز تماس", "رفتار با مشتری"],
    questions: [
      "نام خود را می‌گوید؟",
      "بی‌آنکه حرف را قطع کند گوش می‌دهد",
      "هویت مشتری را می‌پرسد",
    ],
    remark: "پیش از پایان حرف مشتری وسط صحبت آمد.",
    summary: "خوب حل شد؛ هنگام تکرار مشتری لحن آرام‌تر باشد.",
    list: "می‌خواهد برود",
    phrases: ["لغو قرارداد", "سازمان حمایت", "شکایت*"],
    reason: "حکم دادگاه ۲۲۱۱: وکیل مشتری رونوشت خواسته است.",
    masked: "شمارهٔ کارتم ▇▇▇▇ است، لطفاً لغو قرارداد.",
    rule: "سه تماس در هفته",
  },
} as const;

const WEEKS = 12;
const day = 86_400_000;
const ago = (days: number) => new Date(Date.now() - days * day).toISOString();

export function qualityOf(language: "fa" | "he" | "en", data: Data) {
  const w = words[language];
  const by = { by: data.me, at: ago(1) };
  const question = (n: number, more: object) => ({
    id: `q${n}`,
    text: w.questions[n],
    help: "",
    points: 1,
    scale: 1,
    knock_out: false,
    optional: true,
    ...more,
  });
  const sections = [
    { id: "s0", title: w.sections[0], weight: 1, questions: [question(0, {})] },
    {
      id: "s1",
      title: w.sections[1],
      weight: 3,
      questions: [question(1, { scale: 4 }), question(2, { knock_out: true })],
    },
  ];
  const version = { id: "v1", number: 2, sections, edited_by: data.me, edited_at: ago(9) };
  const scorecard = {
    id: "s1",
    name: w.card,
    created_by: data.me,
    created_at: ago(40),
    retired_by: null,
    retired_at: null,
    published: { ...version, published_by: data.me, published_at: ago(8) },
    draft: null,
  };
  const brief = (n: number) => ({
    id: `e${n}`,
    interaction: `i${n}`,
    customer: data.brief(n % 5),
    call_at: ago(n + 1),
    scorecard: "s1",
    scorecard_name: w.card,
    number: 2,
    agent: data.me,
    evaluator: data.me,
    state: n ? "submitted" : "draft",
    score: n ? [62.5, 0, 91.3, 100][n % 4] : null,
    knocked_out: n % 4 === 1 && n > 0,
    created_at: ago(n),
    updated_at: ago(n),
    submitted_at: n ? ago(n) : null,
    acknowledged_at: n > 2 ? ago(0) : null,
  });
  const evaluation = {
    ...brief(0),
    state: "draft",
    score: 62.5,
    sections,
    answers: [
      { question: "q0", value: 1, t0: null, remark: "" },
      { question: "q1", value: 2, t0: 8.2, remark: w.remark },
    ],
    shares: [
      { section: "s0", share: 1 },
      { section: "s1", share: 0.5 },
    ],
    missing: ["q2"],
    failed: [],
    summary: w.summary,
    notes: [{ id: "n1", kind: "reply", text: w.remark, ...by }],
    version: 1,
    mine: true,
    about_me: false,
  };
  const weeks = Array.from({ length: WEEKS }, (_, n) => ago((WEEKS - n) * 7).slice(0, 10));
  const cells = (of: (n: number) => object) =>
    weeks.flatMap((_, week) => (week % 5 === 3 ? [] : [{ week, count: 3 + week, ...of(week) }]));
  const trend = (names: readonly string[], of: (n: number, row: number) => object) => ({
    weeks,
    items: names.map((name, row) => ({ key: `${row}`, name, weeks: cells((n) => of(n, row)) })),
  });
  return {
    scorecard,
    evaluation,
    evaluations: [0, 1, 2, 3, 4].map(brief),
    scores: trend([data.me.name, data.brief(1).name], (n, row) => ({ mean: 58 + n * 2.4 + row })),
    answers: trend(w.questions, (n, row) => ({ mean: 0.5 + ((n + row) % 6) / 12 })),
    spoken: trend([data.me.name, data.brief(1).name], (n, row) => ({
      share: 0.4 + ((n + row) % 5) / 20,
      talk_over: 0.02 + n / 900,
      silence: 0.1,
      longest: 42 + n,
      pace: 131 + n,
    })),
    sampled: [0, 1, 2].map((n) => ({
      id: `d${n}`,
      interaction: `i${n}`,
      customer: data.brief(n),
      call_at: ago(n + 2),
      talk_seconds: 140 + n * 77,
      agent: data.me,
      scorecard: "s1",
      week: weeks[WEEKS - 1],
      evaluation: n ? null : "e0",
    })),
    rules: ["number", "share"].map((method, n) => ({
      id: `r${n}`,
      name: w.rule,
      scorecard: "s1",
      evaluator: data.me,
      method,
      amount: n ? 5 : 3,
      mark: n ? "talk_over" : null,
      queue: n ? "support" : null,
      least_seconds: 60,
      seed: 1,
      created_by: data.me,
      created_at: ago(30),
      ended_by: null,
      ended_at: null,
    })),
    phraseLists: [0, 1].map((n) => ({
      id: `l${n}`,
      name: w.list,
      language,
      phrases: w.phrases,
      severity: n ? "note" : "urgent",
      leg: n ? null : "customer",
      notice: !n,
      by: data.me,
      changed_at: ago(3),
      retired_at: n ? ago(1) : null,
      version: 1,
    })),
    sentences: Array.from({ length: 6 }, (_, n) => ({
      id: `f${n}`,
      leg: n % 2 ? "agent" : "customer",
      language,
      t0: 4.2 + n * 61,
      t1: 8 + n * 61,
      pieces: w.masked
        .split(w.phrases[0])
        .flatMap((text, at) => [
          ...(at ? [{ text: w.phrases[0], hit: true }] : []),
          { text, hit: false },
        ]),
      interaction: data.interaction(n),
    })),
    disclosures: ["interaction", "customer"].map((kind, n) => ({
      id: `x${n}`,
      who: data.me,
      kind,
      object: n ? "c0" : "i0",
      reason: w.reason,
      opened_at: ago(n),
      until: ago(n - 1),
    })),
    factors: [
      { id: "t1", kind: "totp", name: "", created_at: ago(80), used_at: ago(0) },
      { id: "t2", kind: "totp", name: "Pixel 9", created_at: ago(9), used_at: null },
    ],
    sessions: ["192.0.2.14", "2001:db8::7"].map((address, n) => ({
      id: `w${n}`,
      address,
      method: n ? "password" : "totp",
      created_at: ago(n),
      last_seen_at: ago(0),
      expires_at: ago(-1),
    })),
    correction: {
      id: "o1",
      utterance: "u1",
      before: w.masked,
      after: data.utterances[1]?.text ?? "",
      ...by,
    },
  };
}
