import { computed, ref, shallowRef } from "vue";
import { api, Problem } from "@/api";
import type {
  Comment,
  Conversation,
  Correction,
  Interaction,
  Recording,
  Transcript,
} from "@/api/types";
import { momentsOf } from "./moments";

/** What there is to hear and read of a call, as far as this person may: sound, text, figures. */
export function useHeard(id: () => string, call: () => Interaction | null) {
  const recording = shallowRef<Recording | null>(null);
  const transcript = shallowRef<Transcript | null>(null);
  const conversation = shallowRef<Conversation | null>(null);
  const comments = shallowRef<Comment[]>([]);
  const corrections = shallowRef<Correction[]>([]);
  const reasonNeeded = ref(false);

  /** Administrators hear a call only after they said why (break-glass). */
  function denied(problem: unknown): null {
    const type = problem instanceof Problem ? (problem.body.type ?? "") : "";
    if (type.endsWith("reason-needed")) reasonNeeded.value = true;
    return null;
  }

  async function loadRecording(): Promise<void> {
    if (call()?.recording_state !== "sealed") return; // nothing to ask for yet
    recording.value = await api.recording(id()).catch(denied);
  }

  /** A new object would start the player again. */
  async function loadRecordingOnce(): Promise<void> {
    if (!recording.value) await loadRecording();
  }

  async function loadTranscript(): Promise<void> {
    const said = api.transcript(id()).catch(denied);
    corrections.value = (await api.corrections(id()).catch(denied))?.items ?? [];
    transcript.value = await said;
  }

  async function loadConversation(): Promise<void> {
    conversation.value = await api.conversation(id()).catch(denied);
  }

  async function loadComments(): Promise<void> {
    comments.value = (await api.comments(id()).catch(denied))?.items ?? [];
  }

  async function load(): Promise<void> {
    await Promise.all([loadRecording(), loadTranscript(), loadConversation(), loadComments()]);
  }

  async function giveReason(reason: string): Promise<void> {
    await api.giveReason(id(), reason);
    reasonNeeded.value = false;
  }

  function clear(): void {
    recording.value = transcript.value = conversation.value = null;
    comments.value = [];
    corrections.value = [];
  }

  return {
    recording,
    transcript,
    conversation,
    corrections,
    reasonNeeded,
    moments: computed(() =>
      momentsOf(conversation.value?.marks ?? [], comments.value, conversation.value?.phrases),
    ),
    /** Times in the transcript count from the answer, in the file from its beginning. */
    offset: computed(() => recording.value?.legs.customer?.offset ?? 0),
    load,
    loadRecordingOnce,
    loadTranscript,
    loadConversation,
    loadComments,
    giveReason,
    clear,
  };
}
