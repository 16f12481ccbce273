/** Invented people and calls, in the page's language. */

type Language = "fa" | "he" | "en";

const minutes = (n: number) => new Date(Date.now() - n * 60_000).toISOString();

const people = {
  en: ["Margaret Hollis", "Daniel Osei", "Priya Raman", "Northwind Logistics", "Tom Ellery"],
  he: ["רחל אברמוב", "יוסי לוין", "נועה בן־דוד", "חברת גל תקשורת", "אורי שמש"],
  fa: ["مریم رضایی", "حسین کاظمی", "نگار احمدی", "شرکت پخش البرز", "کیان شریفی"],
};
const agents = { en: "Alex Morgan", he: "דנה כהן", fa: "سارا محمدی" };
const speech = {
  en: [
    ["agent", "Good morning, you are through to support. How can I help?"],
    ["customer", "Hello. My order arrived on Tuesday and the box was completely crushed."],
    ["agent", "I am sorry to hear that. Is the machine itself damaged?"],
    ["customer", "Yes, the lid is cracked, and nobody answered my two e-mails."],
    ["agent", "I will register this now and send you a return label today."],
    ["customer", "Thank you. I would rather have a new one than"],
  ],
  he: [
    ["agent", "בוקר טוב, הגעת לתמיכה. במה אפשר לעזור?"],
    ["customer", "שלום. ההזמנה הגיעה ביום שלישי והקופסה הייתה מעוכה לגמרי."],
    ["agent", "אני מצטערת לשמוע. המכשיר עצמו ניזוק?"],
    ["customer", "כן, המכסה סדוק, ואף אחד לא ענה לשתי ההודעות ששלחתי."],
    ["agent", "אני רושמת את זה עכשיו ושולחת לך היום תווית להחזרה."],
    ["customer", "תודה. הייתי מעדיפה לקבל חדש במקום"],
  ],
  fa: [
    ["agent", "صبح بخیر، پشتیبانی بفرمایید. چطور می‌توانم کمک کنم؟"],
    ["customer", "سلام. سفارش من سه‌شنبه رسید و جعبه کاملاً له شده بود."],
    ["agent", "متأسفم که این را می‌شنوم. خود دستگاه هم آسیب دیده است؟"],
    ["customer", "بله، درش ترک خورده و به دو ایمیل من هم کسی جواب نداد."],
    ["agent", "همین حالا ثبت می‌کنم و امروز برچسب مرجوعی می‌فرستم."],
    ["customer", "ممنون. ترجیح می‌دهم یک دستگاه نو بگیرم تا این‌که"],
  ],
};
const subjects = {
  en: ["Parcel crushed on arrival", "Invoice charged twice", "Technician did not come"],
  he: ["חבילה הגיעה מעוכה", "חיוב כפול בחשבונית", "הטכנאי לא הגיע"],
  fa: ["بستهٔ له‌شده هنگام تحویل", "فاکتور دوباره حساب شده", "تعمیرکار نیامد"],
};
const notes = {
  en: "Wants a replacement, not a repair. Call back after 16:00.",
  he: "מבקשת החלפה ולא תיקון. לחזור אחרי 16:00.",
  fa: "تعویض می‌خواهد نه تعمیر. بعد از ساعت ۱۶ تماس بگیرید.",
};
const numbers = [
  "+989123456789",
  "+972541234567",
  "+442079460123",
  "+982188776655",
  "+97235551234",
];

export function dataOf(language: Language) {
  const me = { id: "u1", username: "agent", name: agents[language] };
  const brief = (n: number) => ({
    id: `c${n}`,
    name: people[language][n] ?? "",
    kind: n === 3 ? "company" : "person",
    language,
    tier: ["gold", "silver", null, "platinum", null][n] ?? null,
    open_complaints: n === 0 ? 2 : n === 3 ? 1 : 0,
  });
  const customer = (n: number) => ({
    ...brief(n),
    emails: n === 0 ? ["contact@example.com"] : [],
    address: "",
    notes: n === 0 ? notes[language] : "",
    phones: [
      {
        id: `p${n}`,
        number: numbers[n],
        region: "IR",
        label: "mobile",
        e164: numbers[n],
        extension: null,
      },
    ],
    version: 1,
    created_at: minutes(90000),
    updated_at: minutes(4000),
  });
  const interaction = (n: number, more: object = {}) => ({
    id: `i${n}`,
    call_id: `call${n}`,
    channel: n === 4 ? "mail" : "phone",
    direction: n === 2 ? "outbound" : "inbound",
    queue: "support",
    line: "100",
    language,
    from_number: numbers[n % 5],
    from_name: null,
    to_number: "100",
    agent: n % 4 === 3 ? null : me,
    customer: n % 5 === 2 ? null : brief(n % 5),
    owner: null,
    outcome: ["completed", "completed", "completed", "abandoned", "completed", "missed"][n % 6],
    detail: "",
    disposition: ["resolved", "complaint", "information", null][n % 4],
    notes: n % 3 === 0 ? notes[language] : "",
    draft: null,
    started_at: minutes(8 + n * 47),
    answered_at: minutes(7 + n * 47),
    ended_at: minutes(3 + n * 47),
    wait_seconds: 14 + n,
    talk_seconds: n % 4 === 3 ? null : 92 + n * 31,
    wrapped_at: null,
    closed_at: null,
    handled_at: null,
    recording_state: "sealed",
    transcript_state: "done",
    quality: [],
    version: 1,
    ...more,
  });
  const recorded = Array.from({ length: 14 }, (_, n) => ({
    ...interaction(n),
    id: `r${n}`,
    interaction: `i${n}`,
    seconds: 61 + n * 173,
    interrupted: false,
    outcome: n % 6 === 4 ? "interrupted" : "completed",
    agent: me,
    agent_share: n % 5 === 3 ? null : 0.3 + (n % 4) / 7,
  }));
  const views = (
    {
      en: ["Long calls", "Interrupted this week"],
      he: ["שיחות ארוכות", "נקטעו השבוע"],
      fa: ["تماس‌های بلند", "قطع‌شده‌های این هفته"],
    } as const
  )[language].map((name, n) => ({
    id: `v${n}`,
    name,
    filters: n ? { outcome: "interrupted", period: "week" } : { min_seconds: 900 },
    shared: n === 0,
    owner: me,
    mine: n === 1,
  }));
  const conversation = {
    state: "measured",
    seconds: 27,
    agent: { seconds: 9.4, share: 0.44, longest: 6.2, words: 22, pace: 140.4 },
    customer: { seconds: 11.9, share: 0.56, longest: 7.5, words: 29, pace: 146.2 },
    both_seconds: 1.2,
    silence_seconds: 5.1,
    hold_seconds: 1.8,
    talk_overs: 1,
    dead_airs: 1,
    marks: [
      { kind: "talk_over", t0: 8, t1: 9.2 },
      { kind: "redacted", t0: 10.2, t1: 12 },
      { kind: "hold", t0: 13, t1: 14.8 },
      { kind: "dead_air", t0: 19, t1: 24.1 },
    ],
    quiet: [
      [13, 14.8],
      [19, 24.1],
    ],
  };
  const comments = [
    { id: "m1", t0: 6, t1: null, text: notes[language], by: me, at: minutes(3), mine: true },
  ];
  const complaint = (n: number) => ({
    id: `k${n}`,
    code: `C-1405-00${17 + n}`,
    stage: ["investigating", "received", "closed"][n] ?? "received",
    customer: brief(n),
    interaction: `i${n}`,
    subject: subjects[language][n],
    description: notes[language],
    severity: ["high", "normal", "low"][n] ?? "normal",
    owner: me,
    due: n === 1 ? minutes(600) : new Date(Date.now() + 86_400_000 * 3).toISOString(),
    overdue: n === 1,
    clock: {
      awaited: n === 1 ? "acknowledge" : n === 2 ? null : "decide",
      due: n === 2 ? null : minutes(n === 1 ? 600 : -4320),
      state: ["on_time", "overdue", "done"][n] ?? "on_time",
      days: n === 1 ? -1 : 3,
    },
    product: "",
    queue: "support",
    wanted: "",
    safety: n === 0,
    impact: null,
    complexity: null,
    cause: null,
    corrective: "",
    remedy: null,
    remedy_cost: null,
    accepted: null,
    incident: null,
    escalation: n === 1 ? 1 : 0,
    reopened: 0,
    changes: [],
    calls: [],
    messages: [],
    decision: null,
    told_by: null,
    quotes: [{ utterance: "u1", leg: "customer", text: speech[language][1]?.[1], t0: 4.2, t1: 8 }],
    history: [
      { at: minutes(3000), by: me, from_stage: null, to_stage: "received", note: "" },
      {
        at: minutes(1000),
        by: me,
        from_stage: "received",
        to_stage: "investigating",
        note: notes[language],
      },
    ],
    version: 1,
    created_at: minutes(3000),
    updated_at: minutes(1000),
  });
  const utterances = speech[language].map(([leg, text], i) => ({
    id: `u${i}`,
    leg,
    text,
    t0: 0.6 + i * 4.4,
    t1: 4 + i * 4.4,
    masks: [],
    revision: 2,
    language,
  }));
  return {
    conversation,
    comments,
    recorded,
    views,
    me,
    brief,
    customer,
    interaction,
    complaint,
    utterances,
    numbers,
    notes: notes[language],
  };
}
export type Data = ReturnType<typeof dataOf>;
