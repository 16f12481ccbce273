import { useLive } from "@/live/live";

/** What the buttons and keys of a call do. */
export function useCallActions() {
  const live = useLive();

  async function answer(): Promise<boolean> {
    const call = live.calls.offer?.call.id;
    return call && !live.onPhone ? live.act("call.answer", call) : false;
  }

  async function decline(): Promise<void> {
    const call = live.calls.offer?.call.id;
    if (call) await live.act("call.reject", call);
  }

  /** While I talk with a colleague alone it is their part that ends, not the customer's call. */
  async function end(): Promise<void> {
    const call = live.calls.current?.call.id;
    const asked = live.isAsked ? null : live.consultation?.state;
    const alone = asked === "ringing" || asked === "talking";
    if (call) await live.act(alone ? "call.resume" : "call.hangup", call);
  }

  /** Goes on without the colleague. */
  async function goOn(): Promise<void> {
    if (live.consultation) await live.act("call.resume", live.consultation.call);
  }

  /** To the customer while the colleague waits, or back. */
  async function swap(): Promise<void> {
    const now = live.consultation;
    const to = now?.state === "held" ? "colleague" : "customer";
    if (now) await live.act("call.swap", now.call, { to });
  }

  async function join(): Promise<void> {
    if (live.consultation) await live.act("call.conference", live.consultation.call);
  }

  async function handOver(): Promise<void> {
    const now = live.consultation;
    if (!now) return;
    const to = now.number ? { to_number: now.number } : { to_agent: now.colleague.id };
    await live.act("call.transfer", now.call, to);
  }

  async function toggleHold(): Promise<void> {
    const current = live.calls.current;
    if (!current || live.isAsked || live.consultation?.state === "joined") return;
    if (["talking", "held"].includes(live.consultation?.state ?? "")) return swap();
    await live.act(current.call.state === "held" ? "call.resume" : "call.hold", current.call.id);
  }

  function mute(): void {
    if (live.calls.current && !live.onPhone) live.toggleMute();
  }

  return { answer, decline, end, goOn, swap, join, handOver, toggleHold, mute };
}
