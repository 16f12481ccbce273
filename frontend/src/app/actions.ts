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

  async function end(): Promise<void> {
    const call = live.calls.current?.call.id;
    if (call) await live.act("call.hangup", call);
  }

  async function toggleHold(): Promise<void> {
    const current = live.calls.current;
    if (!current) return;
    await live.act(current.call.state === "held" ? "call.resume" : "call.hold", current.call.id);
  }

  function mute(): void {
    if (live.calls.current && !live.onPhone) live.toggleMute();
  }

  return { answer, decline, end, toggleHold, mute };
}
