/** Sounds that the page makes itself: the ring and the test tone. */

let context: AudioContext | null = null;
let ringing: ReturnType<typeof setInterval> | null = null;

/** The page's audio context; browsers let it sound only after a person's gesture. */
export function audioContext(): AudioContext {
  context ??= new AudioContext();
  return context;
}

export async function unlockSound(): Promise<boolean> {
  const audio = audioContext();
  if (audio.state !== "running") {
    // `resume()` never settles while the browser still waits for a gesture.
    await Promise.race([audio.resume(), new Promise((done) => setTimeout(done, 1500))]);
  }
  return audio.state === "running";
}

function note(frequency: number, at: number, seconds: number, loudness: number): void {
  const audio = audioContext();
  const oscillator = audio.createOscillator();
  const gain = audio.createGain();
  oscillator.type = "sine";
  oscillator.frequency.value = frequency;
  const start = audio.currentTime + at;
  gain.gain.setValueAtTime(0, start);
  gain.gain.linearRampToValueAtTime(loudness, start + 0.02);
  gain.gain.exponentialRampToValueAtTime(0.001, start + seconds);
  oscillator.connect(gain).connect(audio.destination);
  oscillator.start(start);
  oscillator.stop(start + seconds + 0.05);
}

export function playTestTone(): void {
  note(523, 0, 0.35, 0.18);
  note(659, 0.18, 0.35, 0.18);
  note(784, 0.36, 0.6, 0.18);
}

function ringOnce(): void {
  for (const at of [0, 0.42]) {
    note(784, at, 0.3, 0.22);
    note(988, at + 0.12, 0.28, 0.16);
  }
}

export function startRinging(): void {
  if (ringing) return;
  void unlockSound();
  ringOnce();
  ringing = setInterval(ringOnce, 2400);
}

export function stopRinging(): void {
  if (ringing) clearInterval(ringing);
  ringing = null;
}
