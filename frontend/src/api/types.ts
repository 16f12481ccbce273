/** Names for the shapes of the API; generated from the server's OpenAPI document. */

import type { components, paths } from "./schema";

type Schemas = components["schemas"];

export type Agent = Schemas["Agent"];
export type Device = "browser" | "phone";
export type AgentStateName = Agent["state"];
export type Board = Schemas["Board"];
export type Cause = Schemas["Cause"];
export type CallQuality = Schemas["CallQuality"];
export type Comment = Schemas["Comment"];
export type Calibration = Schemas["Calibration"];
export type CalibrationBrief = Schemas["CalibrationBrief"];
export type CoachingTask = Schemas["CoachingTask"];
export type Complaint = Schemas["Complaint"];
export type ComplaintDetail = Schemas["ComplaintDetail"];
export type Conversation = Schemas["Conversation"];
export type Correction = Schemas["Correction"];
export type Customer = Schemas["Customer"];
export type CustomerBrief = Schemas["CustomerBrief"];
export type Diagnosis = Schemas["Diagnosis"];
export type Evaluation = Schemas["Evaluation"];
export type EvaluationBrief = Schemas["EvaluationBrief"];
export type EvaluationQuestion = Schemas["Question"];
export type CustomerExport = Schemas["CustomerExport"];
export type Disclosure = Schemas["Disclosure"];
export type LegalHold = Schemas["LegalHold"];
export type Erasure = Schemas["Erasure"];
export type Enrolment = Schemas["Enrolment"];
export type Factor = Schemas["Factor"];
export type Factors = Schemas["Factors"];
export type Figures = Schemas["Figures"];
export type Incident = Schemas["Incident"];
export type Disposition = Schemas["Disposition"];
export type Interaction = Schemas["Interaction"];
export type Match = Schemas["Match"];
export type OpenSessions = Schemas["OpenSessions"];
export type Peaks = Schemas["Peaks"];
export type Person = Schemas["Person"];
export type ProblemBody = Partial<Schemas["Problem"]>;
export type PhraseList = Schemas["PhraseList"];
export type Queue = Schemas["Queue"];
export type Quote = Schemas["Quote"];
export type Recorded = Schemas["Recorded"];
export type Recording = Schemas["Recording"];
export type RecordingsQuery = NonNullable<
  paths["/api/v1/recordings"]["get"]["parameters"]["query"]
>;
export type SavedView = Schemas["SavedView"];
export type ViewFilters = Schemas["ViewFilters"];
export type SampledCall = Schemas["SampledCall"];
export type SamplingRule = Schemas["SamplingRule"];
export type Scorecard = Schemas["Scorecard"];
export type ScorecardSection = Schemas["Section"];
export type Sentence = Schemas["Sentence"];
export type Sentences = Schemas["Sentences"];
export type Site = Schemas["Site"];
export type ScoreTrends = Schemas["ScoreTrends"];
export type SpokenTrends = Schemas["SpokenTrends"];
export type TimelineItem = Schemas["TimelineItem"];
export type Transcript = Schemas["Transcript"];
export type User = Schemas["User"];
export type Utterance = Schemas["Utterance"];
export type Leg = Utterance["leg"];

/** What the page knows of the session; `site` comes with the page, not with the API. */
export interface SessionInfo {
  user: User;
  csrf_token: string;
  /** Seals what this browser keeps of the person's work. */
  draft_key?: string;
  permissions?: Record<string, string>;
  /** What this person's calls come to, and the extension of their desk phone if they have one. */
  device?: Device;
  phone?: string | null;
  site?: Partial<Site> | null;
}

export type QueueNow = Pick<Queue, "name" | "waiting" | "longest_wait_seconds">;

export interface Page<T> {
  items: T[];
  next?: string | null;
}
