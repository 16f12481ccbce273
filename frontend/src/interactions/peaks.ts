/** The waveform of a recording: from the server, or worked out of the sound itself. */

import { api } from "@/api";
import type { Leg, Recording } from "@/api/types";

/** Per side how loud it was, 0 to 1, evenly over the whole length. */
export type Lanes = Record<Leg, number[]>;

const BARS = 600;
const LARGEST_BYTES = 30_000_000;

export async function lanesOf(recording: Recording): Promise<Lanes> {
  try {
    const peaks = await api.peaks(recording.id, 2 * BARS);
    const lane = (leg: Leg) => shrink((peaks.channels[leg] ?? []).map((v) => v / 255));
    return { agent: lane("agent"), customer: lane("customer") };
  } catch {
    return recording.size < LARGEST_BYTES ? decode(recording) : { agent: [], customer: [] };
  }
}

export function soundOf(recording: Recording): string {
  return recording.audio || `/api/v1/recordings/${recording.id}/audio`;
}

async function decode(recording: Recording): Promise<Lanes> {
  const answer = await fetch(soundOf(recording));
  if (!answer.ok) return { agent: [], customer: [] };
  const context = new OfflineAudioContext(2, 1, 8000);
  const sound = await context.decodeAudioData(await answer.arrayBuffer());
  const lane = (leg: Leg, usual: number) => {
    const channel = Math.min(recording.legs[leg]?.channel ?? usual, sound.numberOfChannels - 1);
    return shrink(Array.from(sound.getChannelData(channel), Math.abs));
  };
  return { agent: lane("agent", 0), customer: lane("customer", 1) };
}

/** At most `BARS` values: each the largest of its stretch. */
export function shrink(values: number[], bars = BARS): number[] {
  if (values.length <= bars) return values;
  const result: number[] = [];
  for (let bar = 0; bar < bars; bar += 1) {
    const end = Math.floor(((bar + 1) * values.length) / bars);
    let top = 0;
    for (let i = Math.floor((bar * values.length) / bars); i < end; i += 1) {
      top = Math.max(top, values[i] ?? 0);
    }
    result.push(top);
  }
  return result;
}
