/** Every question to the REST API, by noun. Errors are thrown as `Problem`. */

import createClient from "openapi-fetch";
import { goToSignIn, session } from "@/session/session";
import type { components, paths } from "./schema";
import type { ProblemBody } from "./types";
import { visible } from "./visible";

type Schemas = components["schemas"];
type ListOf<Path extends keyof paths> = paths[Path] extends {
  get: { parameters: { query?: infer Query } };
}
  ? Query
  : never;

export class Problem extends Error {
  constructor(readonly body: ProblemBody) {
    super(body.detail ?? body.title ?? "");
  }
}

const client = createClient<paths>({
  // Empty filters are left out of the address.
  querySerializer: (query) => {
    const search = new URLSearchParams();
    for (const [key, value] of Object.entries(query ?? {})) {
      if (value !== null && value !== undefined && value !== "") search.set(key, String(value));
    }
    return search.toString();
  },
});

client.use({
  onRequest({ request }) {
    request.headers.set("Accept", "application/json");
    if (!["GET", "HEAD"].includes(request.method)) {
      request.headers.set("X-CSRF-Token", session.value?.csrf_token ?? "");
    }
    return request;
  },
  onResponse({ response }) {
    if (response.status === 401) goToSignIn();
  },
  onError: () => new Problem({ type: "unreachable" }),
});

async function value<T>(
  answer: Promise<{ data?: T; error?: unknown; response: Response }>,
): Promise<T> {
  const { data, error, response } = await answer;
  if (response.ok) return visible(data) as T;
  const body = error && typeof error === "object" ? (error as ProblemBody) : {};
  throw new Problem({ status: response.status, ...body });
}

const byId = (id: string) => ({ params: { path: { id } } });

export const api = {
  signOut: () => value(client.DELETE("/api/v1/session")),
  saveLanguage: (language: "fa" | "he" | "en") =>
    value(client.PATCH("/api/v1/session", { body: { language } })),
  factors: () => value(client.GET("/api/v1/factors")),
  beginTotp: (password: string, name: string) =>
    value(client.POST("/api/v1/factors/totp", { body: { password, name } })),
  confirmTotp: (code: string) =>
    value(client.POST("/api/v1/factors/totp/confirmation", { body: { code } })),
  beginPasskey: (password: string, name: string) =>
    value(client.POST("/api/v1/factors/passkey", { body: { password, name } })),
  confirmPasskey: (credential: Record<string, unknown>) =>
    value(client.POST("/api/v1/factors/passkey/confirmation", { body: { credential } })),
  changePassword: (password: string, new_password: string) =>
    value(client.POST("/api/v1/session/password", { body: { password, new_password } })),
  newRecoveryCodes: (password: string) =>
    value(client.POST("/api/v1/factors/recovery-codes", { body: { password } })),
  removeFactor: (id: string, password: string) =>
    value(client.POST("/api/v1/factors/{id}/removal", { ...byId(id), body: { password } })),
  mySessions: () => value(client.GET("/api/v1/sessions")),
  endOtherSessions: () => value(client.DELETE("/api/v1/sessions")),
  endSession: (session_id: string) =>
    value(client.DELETE("/api/v1/sessions/{session_id}", { params: { path: { session_id } } })),

  site: () => value(client.GET("/api/v1/site")),
  agents: () => value(client.GET("/api/v1/agents")),
  extendWrapUp: (seconds: number) =>
    value(client.POST("/api/v1/agents/me/wrap-up", { body: { seconds } })),

  interactions: (query: ListOf<"/api/v1/interactions">) =>
    value(client.GET("/api/v1/interactions", { params: { query } })),
  interaction: (id: string) => value(client.GET("/api/v1/interactions/{id}", byId(id))),
  changeInteraction: (id: string, body: Schemas["InteractionPatch"]) =>
    value(client.PATCH("/api/v1/interactions/{id}", { ...byId(id), body })),
  transcript: (id: string) => value(client.GET("/api/v1/interactions/{id}/transcript", byId(id))),
  recording: (id: string) => value(client.GET("/api/v1/interactions/{id}/recording", byId(id))),
  conversation: (id: string) =>
    value(client.GET("/api/v1/interactions/{id}/conversation", byId(id))),
  comments: (id: string) => value(client.GET("/api/v1/interactions/{id}/comments", byId(id))),
  createComment: (id: string, body: Schemas["CommentIn"]) =>
    value(client.POST("/api/v1/interactions/{id}/comments", { ...byId(id), body })),
  removeComment: (id: string, comment: string) =>
    value(
      client.POST("/api/v1/interactions/{id}/comments/{comment}/retraction", {
        params: { path: { id, comment } },
      }),
    ),
  corrections: (id: string) => value(client.GET("/api/v1/interactions/{id}/corrections", byId(id))),
  correct: (id: string, utterance: string, body: Schemas["CorrectionIn"]) =>
    value(
      client.POST("/api/v1/interactions/{id}/utterances/{utterance}/correction", {
        params: { path: { id, utterance } },
        body,
      }),
    ),
  createMoment: (id: string, body: Schemas["MomentIn"]) =>
    value(client.POST("/api/v1/interactions/{id}/moments", { ...byId(id), body })),
  moment: (token: string) =>
    value(client.GET("/api/v1/moments/{token}", { params: { path: { token } } })),
  giveReason: (id: string, reason: string) =>
    value(client.POST("/api/v1/interactions/{id}/access", { ...byId(id), body: { reason } })),
  recordings: (query: ListOf<"/api/v1/recordings">) =>
    value(client.GET("/api/v1/recordings", { params: { query } })),
  views: () => value(client.GET("/api/v1/views")),
  saveView: (body: Schemas["SavedViewIn"]) => value(client.POST("/api/v1/views", { body })),
  takeBackView: (id: string) => value(client.POST("/api/v1/views/{id}/retraction", byId(id))),
  users: (query: ListOf<"/api/v1/users">) =>
    value(client.GET("/api/v1/users", { params: { query } })),
  giveReasonForCustomer: (id: string, reason: string) =>
    value(client.POST("/api/v1/customers/{id}/access", { ...byId(id), body: { reason } })),
  disclosures: (query: ListOf<"/api/v1/disclosures">) =>
    value(client.GET("/api/v1/disclosures", { params: { query } })),
  peaks: (id: string, columns: number) =>
    value(
      client.GET("/api/v1/recordings/{id}/peaks", {
        params: { path: { id }, query: { columns } },
      }),
    ),

  diagnosis: (call: string) => value(client.GET("/api/v1/calls/{id}/diagnosis", byId(call))),

  sentences: (query: ListOf<"/api/v1/sentences">) =>
    value(client.GET("/api/v1/sentences", { params: { query } })),
  phraseLists: () => value(client.GET("/api/v1/phrase-lists")),
  createPhraseList: (body: Schemas["PhraseListIn"]) =>
    value(client.POST("/api/v1/phrase-lists", { body })),
  changePhraseList: (id: string, body: Schemas["PhraseListPatch"]) =>
    value(client.PATCH("/api/v1/phrase-lists/{id}", { ...byId(id), body })),

  customers: (query: ListOf<"/api/v1/customers">) =>
    value(client.GET("/api/v1/customers", { params: { query } })),
  customer: (id: string) => value(client.GET("/api/v1/customers/{id}", byId(id))),
  createCustomer: (body: Schemas["CustomerIn"]) =>
    value(client.POST("/api/v1/customers", { body })),
  changeCustomer: (id: string, body: Schemas["CustomerPatch"]) =>
    value(client.PATCH("/api/v1/customers/{id}", { ...byId(id), body })),
  holds: (id: string, query: { limit?: number; cursor?: string | null } = {}) =>
    value(client.GET("/api/v1/customers/{id}/holds", { params: { path: { id }, query } })),
  hold: (id: string, reason: string) =>
    value(client.POST("/api/v1/customers/{id}/holds", { ...byId(id), body: { reason } })),
  releaseHold: (id: string, reason: string) =>
    value(client.POST("/api/v1/holds/{id}/release", { ...byId(id), body: { reason } })),
  exportsOf: (id: string, query: { limit?: number; cursor?: string | null } = {}) =>
    value(client.GET("/api/v1/customers/{id}/exports", { params: { path: { id }, query } })),
  askForExport: (id: string, reason: string) =>
    value(client.POST("/api/v1/customers/{id}/exports", { ...byId(id), body: { reason } })),
  erasures: (customer: string | undefined, query: ListOf<"/api/v1/erasures">) =>
    customer
      ? value(
          client.GET("/api/v1/customers/{id}/erasures", {
            params: { path: { id: customer }, query },
          }),
        )
      : value(client.GET("/api/v1/erasures", { params: { query } })),
  askForErasure: (id: string, reason: string) =>
    value(client.POST("/api/v1/customers/{id}/erasures", { ...byId(id), body: { reason } })),
  runErasure: (id: string) => value(client.POST("/api/v1/erasures/{id}/run", byId(id))),
  withdrawErasure: (id: string, reason: string) =>
    value(client.POST("/api/v1/erasures/{id}/withdrawal", { ...byId(id), body: { reason } })),
  timeline: (id: string, query: { limit?: number; cursor?: string | null } = {}) =>
    value(client.GET("/api/v1/customers/{id}/timeline", { params: { path: { id }, query } })),

  readOut: (call: string, code: string) =>
    value(client.POST("/api/v1/calls/{id}/reading", { ...byId(call), body: { code } })),
  complaints: (query: ListOf<"/api/v1/complaints">) =>
    value(client.GET("/api/v1/complaints", { params: { query } })),
  complaint: (id: string) => value(client.GET("/api/v1/complaints/{id}", byId(id))),
  createComplaint: (body: Schemas["ComplaintIn"]) =>
    value(client.POST("/api/v1/complaints", { body })),
  changeComplaint: (id: string, body: Schemas["ComplaintPatch"]) =>
    value(client.PATCH("/api/v1/complaints/{id}", { ...byId(id), body })),
  board: (query: ListOf<"/api/v1/complaints/board">) =>
    value(client.GET("/api/v1/complaints/board", { params: { query } })),
  causes: () => value(client.GET("/api/v1/complaints/causes")),
  figures: (query: ListOf<"/api/v1/complaints/figures">) =>
    value(client.GET("/api/v1/complaints/figures", { params: { query } })),
  incidents: (query: ListOf<"/api/v1/incidents">) =>
    value(client.GET("/api/v1/incidents", { params: { query } })),
  createIncident: (body: Schemas["IncidentIn"]) =>
    value(client.POST("/api/v1/incidents", { body })),
  changeIncident: (id: string, body: Schemas["IncidentPatch"]) =>
    value(client.PATCH("/api/v1/incidents/{id}", { ...byId(id), body })),
  moveComplaint: (id: string, body: Schemas["Transition"]) =>
    value(client.POST("/api/v1/complaints/{id}/transitions", { ...byId(id), body })),

  scorecards: (query: ListOf<"/api/v1/scorecards"> = {}) =>
    value(client.GET("/api/v1/scorecards", { params: { query } })),
  scorecard: (id: string) => value(client.GET("/api/v1/scorecards/{id}", byId(id))),
  createScorecard: (body: Schemas["ScorecardIn"]) =>
    value(client.POST("/api/v1/scorecards", { body })),
  changeScorecard: (id: string, body: Schemas["ScorecardPatch"]) =>
    value(client.PATCH("/api/v1/scorecards/{id}", { ...byId(id), body })),
  publishScorecard: (id: string) =>
    value(client.POST("/api/v1/scorecards/{id}/publication", byId(id))),
  retireScorecard: (id: string) =>
    value(client.POST("/api/v1/scorecards/{id}/retirement", byId(id))),
  evaluations: (query: ListOf<"/api/v1/evaluations">) =>
    value(client.GET("/api/v1/evaluations", { params: { query } })),
  evaluation: (id: string) => value(client.GET("/api/v1/evaluations/{id}", byId(id))),
  beginEvaluation: (body: Schemas["EvaluationIn"]) =>
    value(client.POST("/api/v1/evaluations", { body })),
  saveEvaluation: (id: string, body: Schemas["EvaluationPatch"]) =>
    value(client.PATCH("/api/v1/evaluations/{id}", { ...byId(id), body })),
  submitEvaluation: (id: string) =>
    value(client.POST("/api/v1/evaluations/{id}/submission", byId(id))),
  sayOnEvaluation: (id: string, text: string) =>
    value(client.POST("/api/v1/evaluations/{id}/notes", { ...byId(id), body: { text } })),
  acknowledgeEvaluation: (id: string) =>
    value(client.POST("/api/v1/evaluations/{id}/acknowledgement", byId(id))),

  calibrations: (query: ListOf<"/api/v1/calibrations">) =>
    value(client.GET("/api/v1/calibrations", { params: { query } })),
  calibration: (id: string) => value(client.GET("/api/v1/calibrations/{id}", byId(id))),
  startCalibration: (body: Schemas["CalibrationIn"]) =>
    value(client.POST("/api/v1/calibrations", { body })),
  closeCalibration: (id: string) =>
    value(client.POST("/api/v1/calibrations/{id}/closing", byId(id))),
  agreeOnCalibration: (id: string) =>
    value(client.POST("/api/v1/calibrations/{id}/agreement", byId(id))),
  coachingTasks: (query: ListOf<"/api/v1/coaching-tasks">) =>
    value(client.GET("/api/v1/coaching-tasks", { params: { query } })),
  giveCoachingTask: (body: Schemas["CoachingTaskIn"]) =>
    value(client.POST("/api/v1/coaching-tasks", { body })),
  stepCoachingTask: (id: string, body: Schemas["CoachingStepIn"]) =>
    value(client.POST("/api/v1/coaching-tasks/{id}/steps", { ...byId(id), body })),

  samplingRules: () => value(client.GET("/api/v1/sampling-rules")),
  addSamplingRule: (body: Schemas["SamplingRuleIn"]) =>
    value(client.POST("/api/v1/sampling-rules", { body })),
  endSamplingRule: (id: string) => value(client.POST("/api/v1/sampling-rules/{id}/end", byId(id))),
  sampledCalls: (query: ListOf<"/api/v1/sampled-calls">) =>
    value(client.GET("/api/v1/sampled-calls", { params: { query } })),
  passSampledCall: (id: string, why: string) =>
    value(client.POST("/api/v1/sampled-calls/{id}/pass", { ...byId(id), body: { why } })),
  scoreTrends: (query: ListOf<"/api/v1/trends/scores"> & { scorecard: string }) =>
    value(client.GET("/api/v1/trends/scores", { params: { query } })),
  questionTrends: (query: ListOf<"/api/v1/trends/questions"> & { scorecard: string }) =>
    value(client.GET("/api/v1/trends/questions", { params: { query } })),
  conversationTrends: (query: ListOf<"/api/v1/trends/conversations">) =>
    value(client.GET("/api/v1/trends/conversations", { params: { query } })),
};
