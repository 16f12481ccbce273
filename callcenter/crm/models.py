"""Every table of the CRM in one place, for migrations and tests."""

from callcenter.crm.agents.models import AgentEvent, AgentOutbox, AgentPresence, AgentState
from callcenter.crm.audit.models import AuditEntry
from callcenter.crm.chains.models import ChainCheckpoint, ChainEnd, ChainLink
from callcenter.crm.complaints.models import (
    Cause,
    Complaint,
    ComplaintCall,
    ComplaintChange,
    ComplaintQuote,
    ComplaintTransition,
    Incident,
)
from callcenter.crm.customers.models import Customer, CustomerWord, Phone
from callcenter.crm.db import Base
from callcenter.crm.disclosures.models import Disclosure
from callcenter.crm.erasures.models import Erasure
from callcenter.crm.exports.models import CustomerExport
from callcenter.crm.factors.models import Factor, RecoveryCode, SignInStep
from callcenter.crm.fts.models import VocabularyForm, VocabularyWord
from callcenter.crm.holds.models import LegalHold
from callcenter.crm.interactions.models import (
    Disposition,
    Interaction,
    Participant,
    Recording,
    Utterance,
)
from callcenter.crm.messages.models import Message
from callcenter.crm.phrases.models import PhraseList, PhraseMark
from callcenter.crm.quality.models import (
    Calibration,
    CoachingStep,
    CoachingTask,
    Evaluation,
    EvaluationAnswer,
    EvaluationNote,
    SampledCall,
    SamplingDraw,
    SamplingRule,
    Scorecard,
    ScorecardVersion,
)
from callcenter.crm.recordings.models import SavedView
from callcenter.crm.retention.models import RetentionMark
from callcenter.crm.review.models import Comment, Conversation, Correction, MomentLink
from callcenter.crm.users.models import SignInFailure, User, UserSession
from callcenter.crm.vault.models import CallKey, CustomerKey

metadata = Base.metadata

__all__ = [
    "AgentEvent",
    "AgentOutbox",
    "AgentPresence",
    "AgentState",
    "AuditEntry",
    "Calibration",
    "CallKey",
    "Cause",
    "ChainCheckpoint",
    "ChainEnd",
    "ChainLink",
    "CoachingStep",
    "CoachingTask",
    "Comment",
    "Complaint",
    "ComplaintCall",
    "ComplaintChange",
    "ComplaintQuote",
    "ComplaintTransition",
    "Conversation",
    "Correction",
    "Customer",
    "CustomerExport",
    "CustomerKey",
    "CustomerWord",
    "Disclosure",
    "Disposition",
    "Erasure",
    "Evaluation",
    "EvaluationAnswer",
    "EvaluationNote",
    "Factor",
    "Incident",
    "Interaction",
    "LegalHold",
    "Message",
    "MomentLink",
    "Participant",
    "Phone",
    "PhraseList",
    "PhraseMark",
    "Recording",
    "RecoveryCode",
    "RetentionMark",
    "SampledCall",
    "SamplingDraw",
    "SamplingRule",
    "SavedView",
    "Scorecard",
    "ScorecardVersion",
    "SignInFailure",
    "SignInStep",
    "User",
    "UserSession",
    "Utterance",
    "VocabularyForm",
    "VocabularyWord",
    "metadata",
]
