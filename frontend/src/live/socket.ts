/** The socket to the server: connects, asks for what was missed, sends commands. */

import { visible } from "@/api/visible";
import { io, type Socket } from "socket.io-client";
import type { ProblemBody } from "@/api/types";

export type Ack = { ok: boolean; problem?: ProblemBody } & Record<string, unknown>;

const EVENTS = [
  "call.ringing",
  "call.dialling",
  "call.updated",
  "call.recording",
  "call.ended",
  "call.consultation",
  "caption",
  "agent.state",
  "missed.changed",
  "complaint.escalated",
  "phrase.said",
  "floor",
  "notice",
] as const;

export interface SocketHandlers {
  event(name: string, payload: unknown): void;
  /** Called on every connect; `resume` is to be sent from here. */
  connected(): void;
  disconnected(): void;
  /** The server does not want this session. */
  refused(problem: string): void;
}

export interface Wire {
  send(name: string, payload: unknown, timeoutMs?: number): Promise<Ack>;
  close(): void;
}

const unreachable: Ack = { ok: false, problem: { type: "unreachable" } };

export function connect(handlers: SocketHandlers): Wire {
  const socket: Socket = io({
    transports: ["websocket"],
    reconnectionDelay: 200,
    reconnectionDelayMax: 1500,
    timeout: 5000,
  });
  for (const name of EVENTS) {
    socket.on(name, (payload: unknown) => handlers.event(name, visible(payload)));
  }
  socket.on("connect", handlers.connected);
  socket.on("disconnect", (reason) => {
    handlers.disconnected();
    // The server closed it on purpose or is going down: socket.io leaves that to us.
    if (reason === "io server disconnect") setTimeout(() => socket.connect(), 500);
  });
  socket.on("connect_error", (error) => {
    handlers.disconnected();
    if (!socket.active) {
      handlers.refused(error.message);
      setTimeout(() => socket.connect(), 2000);
    }
  });
  return {
    async send(name, payload, timeoutMs = 8000) {
      if (!socket.connected) return unreachable;
      try {
        const ack: unknown = await socket.timeout(timeoutMs).emitWithAck(name, payload);
        return ack && typeof ack === "object" ? (ack as Ack) : { ok: true };
      } catch {
        return unreachable;
      }
    },
    close: () => socket.disconnect(),
  };
}
