/** What the server sends, for tests. */

export const call = (state: string, id = "k1") => ({
  id,
  state,
  direction: "inbound",
  from: "+989123456789",
  to: "100",
  queue: "support",
  started_at: "2026-11-23T08:00:00Z",
  answered_at: null,
  agent: "u1",
});
