/**
 * The agent's one audio leg: a peer connection that lives through the shift.
 *
 * PCMU or, where the settings prefer it, Opus; one bidirectional track, every candidate in the offer
 * (design/contract.md). It is offered again at once when it breaks, so that sound is back within
 * seconds without losing the call.
 */

import { ref } from "vue";
import { mic, openMicrophone, stream, watchDevices } from "./microphone";

export type LegState = "off" | "connecting" | "ok" | "lost";
/** `node`: the telephony node that shall have, or has, the other end; where there are several. */
export type Negotiate = (offer: {
  sdp: string;
  type: string;
  node?: string;
}) => Promise<{ sdp: string; node?: string } | null>;

export const leg = ref<LegState>("off");
export const muted = ref(false);
/** The browser will not play the caller until somebody clicks. */
export const needsGesture = ref(false);

const GATHER_MS = 1000;
const DISCONNECTED_MS = 700;
const RETRY_MS = [300, 600, 1200, 2000];

let peer: RTCPeerConnection | null = null;
let negotiate: Negotiate | null = null;
let renewing: Promise<void> | null = null;
let again = false;
let node: string | undefined;
let watching = false;
const speaker = new Audio();
speaker.autoplay = true;

/** Opens the microphone and the leg; both are kept up until `closeLeg`. */
export async function openLeg(how: Negotiate): Promise<void> {
  negotiate = how;
  if (!watching) {
    watching = true;
    watchDevices(() => void microphoneIsBack());
    window.addEventListener("online", () => void renewLeg());
  }
  if (!(await openMicrophone())) return;
  await renewLeg();
}

export function closeLeg(): void {
  negotiate = null;
  peer?.close();
  peer = null;
  leg.value = "off";
  stream.value?.getTracks().forEach((track) => track.stop());
  stream.value = null;
  mic.value = "off";
}

export function setMuted(on: boolean): void {
  muted.value = on;
  for (const track of stream.value?.getAudioTracks() ?? []) track.enabled = !on;
}

/** True while sound flows or is about to. */
export function legIsUp(): boolean {
  return peer?.connectionState === "connected" || peer?.connectionState === "connecting";
}

/** Sets up a new connection in place of the present one; tries until it stands. */
export function renewLeg(): Promise<void> {
  if (renewing) {
    again = true;
    return renewing;
  }
  renewing = tryUntilUp().finally(() => (renewing = null));
  return renewing;
}

/** A call rings at that node: the sound goes there, and the former way holds until it stands. */
export function bringLegTo(where: string | null): void {
  if (!where || where === node || !negotiate) return;
  node = where;
  void renewLeg();
}

/** The server lost our sound. A connection that is being made now is the answer to that. */
export function lineLost(where?: string): void {
  if (where && node && where !== node) return; // another node's end, which we left
  if (!renewing && peer?.connectionState !== "connecting" && peer?.connectionState !== "new") {
    void renewLeg();
  }
}

async function tryUntilUp(): Promise<void> {
  for (let attempt = 0; negotiate && stream.value; attempt += 1) {
    again = false;
    leg.value = leg.value === "off" || leg.value === "connecting" ? "connecting" : "lost";
    if ((await offer()) && !again) return;
    const pause = RETRY_MS[Math.min(attempt, RETRY_MS.length - 1)];
    await new Promise((done) => setTimeout(done, pause));
  }
}

async function offer(): Promise<boolean> {
  const [track] = stream.value?.getAudioTracks() ?? [];
  if (!track || !stream.value || !negotiate) return false;
  const fresh = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  try {
    track.enabled = !muted.value;
    const transceiver = fresh.addTransceiver(track, {
      direction: "sendrecv",
      streams: [stream.value],
    });
    offerCodecs(transceiver);
    fresh.ontrack = (event) => play(event.streams[0] ?? new MediaStream([event.track]));
    await fresh.setLocalDescription(await fresh.createOffer());
    await gathered(fresh);
    const description = fresh.localDescription;
    const answer = description && (await negotiate({ sdp: description.sdp, type: "offer", node }));
    if (!answer) throw new Error("no answer");
    if (answer.node) node = answer.node;
    await fresh.setRemoteDescription({ sdp: answer.sdp, type: "answer" });
  } catch {
    fresh.close();
    return false;
  }
  const former = peer;
  peer = fresh;
  watch(fresh, former);
  return true;
}

/** What the other end can take; it answers with one of them, as it is set up. */
const CODECS = ["audio/pcmu", "audio/opus"];

function offerCodecs(transceiver: RTCRtpTransceiver): void {
  const known = RTCRtpSender.getCapabilities("audio")?.codecs ?? [];
  const offered = CODECS.flatMap((type) =>
    known.filter((codec) => codec.mimeType.toLowerCase() === type),
  );
  if (offered.length) transceiver.setCodecPreferences(offered);
}

function gathered(connection: RTCPeerConnection): Promise<void> {
  if (connection.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((done) => {
    const timer = setTimeout(done, GATHER_MS);
    connection.addEventListener("icegatheringstatechange", () => {
      if (connection.iceGatheringState !== "complete") return;
      clearTimeout(timer);
      done();
    });
  });
}

/** The former connection carries the sound until this one stands or fails. */
function watch(connection: RTCPeerConnection, former: RTCPeerConnection | null): void {
  const judge = () => {
    const state = connection.connectionState;
    if (state === "connected" || state === "failed" || state === "closed") former?.close();
    if (connection !== peer) return;
    if (state === "connected") leg.value = "ok";
    else if (state === "failed" || state === "closed") void renewLeg();
    else if (state === "disconnected") {
      leg.value = "lost";
      setTimeout(() => {
        if (connection === peer && connection.connectionState === "disconnected") void renewLeg();
      }, DISCONNECTED_MS);
    }
  };
  connection.addEventListener("connectionstatechange", judge);
  judge();
}

function play(remote: MediaStream): void {
  speaker.srcObject = remote;
  speaker.play().then(
    () => (needsGesture.value = false),
    () => waitForGesture(),
  );
}

function waitForGesture(): void {
  needsGesture.value = true;
  const retry = () => void speaker.play().then(() => (needsGesture.value = false));
  for (const kind of ["pointerdown", "keydown"]) {
    window.addEventListener(kind, retry, { once: true });
  }
}

/** Puts the microphone that came back into the standing connection. */
async function microphoneIsBack(): Promise<void> {
  const [track] = stream.value?.getAudioTracks() ?? [];
  const sender = peer?.getSenders()[0];
  if (track && sender && legIsUp()) {
    track.enabled = !muted.value;
    await sender.replaceTrack(track);
  } else {
    await renewLeg();
  }
}
