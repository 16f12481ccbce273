/** Of all tabs of one agent, one holds the line and rings: the holder of a Web Lock. */

import { ref } from "vue";

export type TabMessage =
  | { type: "line"; leg: string; mic: string; muted: boolean }
  | { type: "mute"; muted: boolean }
  | { type: "customer"; call: string; customer: unknown }
  | { type: "shift"; on: boolean }
  | { type: "who" };

export const leading = ref(false);

let channel: BroadcastChannel | null = null;
const listeners = new Set<(message: TabMessage) => void>();

export function tell(message: TabMessage): void {
  channel?.postMessage(message);
}

export function onTabMessage(listener: (message: TabMessage) => void): void {
  listeners.add(listener);
}

/** Runs for the lock until it has it, then keeps it as long as the tab lives. */
export function runForLead(user: string, onLead: () => void): void {
  channel = new BroadcastChannel(`callcenter.${user}`);
  channel.onmessage = (event: MessageEvent<TabMessage>) =>
    listeners.forEach((listener) => listener(event.data));
  const lead = () => {
    leading.value = true;
    onLead();
    return new Promise<void>(() => {});
  };
  if (!navigator.locks) {
    void lead();
    return;
  }
  void navigator.locks.request(`callcenter.line.${user}`, lead);
  tell({ type: "who" });
}
