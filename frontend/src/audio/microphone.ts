/** The microphone: opened once a shift, watched for going away. */

import { ref, shallowRef } from "vue";
import { audioContext } from "./ring";

export type MicState = "off" | "ok" | "denied" | "none" | "lost";

export const mic = ref<MicState>("off");
export const stream = shallowRef<MediaStream | null>(null);

let analyser: AnalyserNode | null = null;
let samples = new Float32Array(512);

/** Asks for the microphone; says in `mic` how it went. */
export async function openMicrophone(): Promise<boolean> {
  if (stream.value?.getAudioTracks().some((track) => track.readyState === "live")) return true;
  if (!navigator.mediaDevices) {
    mic.value = "denied"; // neither https nor localhost
    return false;
  }
  try {
    const constraints = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
    take(await navigator.mediaDevices.getUserMedia({ audio: constraints }));
    return true;
  } catch (error) {
    const name = error instanceof DOMException ? error.name : "";
    mic.value = name === "NotAllowedError" ? "denied" : mic.value === "lost" ? "lost" : "none";
    return false;
  }
}

function take(opened: MediaStream): void {
  stream.value = opened;
  mic.value = "ok";
  const [track] = opened.getAudioTracks();
  track?.addEventListener("ended", () => {
    mic.value = "lost";
    stream.value = null;
    analyser = null;
  });
  const audio = audioContext();
  analyser = audio.createAnalyser();
  analyser.fftSize = 512;
  samples = new Float32Array(analyser.fftSize);
  audio.createMediaStreamSource(opened).connect(analyser);
}

/** How loud the microphone is now, 0 to 1, on a scale like the ear's. */
export function microphoneLevel(): number {
  if (!analyser) return 0;
  analyser.getFloatTimeDomainData(samples);
  const power = samples.reduce((sum, x) => sum + x * x, 0) / samples.length;
  const decibels = 10 * Math.log10(power + 1e-9);
  return Math.min(1, Math.max(0, (decibels + 60) / 55));
}

/** A microphone that is plugged in again is taken at once. */
export function watchDevices(onBack: () => void): void {
  navigator.mediaDevices?.addEventListener("devicechange", () => {
    if (mic.value === "lost" || mic.value === "none") {
      void openMicrophone().then((opened) => opened && onBack());
    }
  });
}
