"""Reading interactions: lists with filters, one call, its transcript, the missed calls.

`visible_to`: an agent's id where only what that agent may see is wanted, None for all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    Subquery,
    and_,
    exists,
    func,
    literal,
    or_,
    select,
    union,
)
from sqlalchemy.orm import Session

from callcenter.crm import fts
from callcenter.crm.customers.models import Customer, CustomerWord
from callcenter.crm.interactions.models import (
    CallQuality,
    Disposition,
    Interaction,
    Participant,
    Recording,
    Utterance,
)
from callcenter.crm.interactions.operations import MISSED, get_or_raise
from callcenter.crm.paging import Page, after, limited, moment_and_id
from callcenter.crm.text import words

get = get_or_raise
FEW = 2_000
"""Calls: up to so many of a team, looking them all up costs less than walking everybody's."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Filters:
    """What a list is narrowed to; None leaves a field open. `since` ≤ started_at < `until`."""

    call_id: str | None = None
    outcome: str | None = None
    customer: str | None = None
    agent: str | None = None
    queue: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    q: str | None = None
    unhandled: bool = False
    direction: str | None = None
    outcomes: tuple[str, ...] = ()
    calls: Select[Any] | None = None  # only these
    agents: tuple[str, ...] | None = None  # calls of one of these


def page(
    session: Session,
    filters: Filters = Filters(),  # noqa: B008 - frozen
    *,
    visible_to: str | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> Page[Interaction]:
    """Interactions, newest first."""
    team = filters.agents if filters.agents is not None and len(filters.agents) != 1 else None
    few = few_of(session, team) if team is not None else None
    query = select(Interaction).where(
        *_narrowed(session, filters, visible_to, few), *_visible(visible_to)
    )
    return _page(session, query, limit, cursor, few)


def missed(
    session: Session,
    *,
    agent: str | None = None,
    limit: int | None = None,
    cursor: str | None = None,
) -> Page[Interaction]:
    """Missed calls that nobody followed up, newest first; of one agent: own and the team's."""
    query = select(Interaction).where(*_unhandled())
    if agent is not None:
        query = query.where(or_(Interaction.owner == agent, Interaction.owner.is_(None)))
    return _page(session, query, limit, cursor)


def missed_count(session: Session, agent: str | None = None) -> int:
    """How many calls `missed` lists altogether."""
    query = select(func.count()).select_from(Interaction).where(*_unhandled())
    if agent is not None:
        query = query.where(or_(Interaction.owner == agent, Interaction.owner.is_(None)))
    return session.scalar(query) or 0


def by_ids(session: Session, interactions: Iterable[str]) -> Sequence[Interaction]:
    """These interactions, in one query; unknown ids are left out."""
    wanted = set(interactions)
    if not wanted:
        return []
    return session.scalars(select(Interaction).where(Interaction.id.in_(wanted))).all()


def by_call(session: Session, call: str) -> Interaction | None:
    """The interaction of that call."""
    return session.scalar(select(Interaction).where(Interaction.call_id == call))


def may_see(interaction: Interaction, agent: str) -> bool:
    """Whether this agent may read the interaction: own, offered, owned or the team's."""
    if agent in (*interaction.talked, interaction.owner, interaction.last_offered):
        return True
    return interaction.outcome in MISSED and interaction.owner is None


def may_hear(interaction: Interaction, agent: str) -> bool:
    """Whether sound and transcript are this agent's: only who talked may."""
    return agent in interaction.talked


def of_agent(agent: str) -> ColumnElement[bool]:
    """Calls that the agent has or talked in, also before a transfer."""
    talked = select(Participant.interaction_id).where(Participant.agent == agent)
    return or_(Interaction.agent == agent, Interaction.id.in_(talked))


def of_agents(agents: Sequence[str]) -> ColumnElement[bool]:
    """Calls that one of them has or talked in; looked up call by call (a team has many)."""
    if len(agents) == 1:
        return of_agent(agents[0])
    talked = exists().where(
        Participant.interaction_id == Interaction.id, Participant.agent.in_(agents)
    )
    return or_(Interaction.agent.in_(agents), talked.correlate(Interaction))


def few_of(session: Session, agents: Sequence[str]) -> Subquery | None:
    """`id`, `started_at` of the calls of `of_agents`, where these are at most FEW; else None.

    Walking all calls, newest first, until a page of a team's is full takes long where the team has
    few: these are looked up in their agents' indexes and sorted. Order by the subquery's columns:
    ordering by the interaction's invites the database to walk that index after all.
    """
    mine = select(Interaction.id, Interaction.started_at).where(Interaction.agent.in_(agents))
    talked = select(
        Participant.interaction_id.label("id"), Participant.started_at.label("started_at")
    ).where(Participant.agent.in_(agents))
    for one in (talked, mine):
        some = one.with_only_columns(literal(1)).limit(FEW + 1).subquery()  # its index is enough
        if (session.scalar(select(func.count()).select_from(some)) or 0) > FEW:
            return None
    return union(mine, talked).subquery("few")


def transcript(session: Session, interaction: Interaction) -> Sequence[Utterance]:
    """What was said, of the revision to show, in the order of time."""
    query = select(Utterance).where(
        Utterance.call_id == interaction.call_id,
        Utterance.revision == interaction.transcript_revision,
    )
    return session.scalars(query.order_by(Utterance.t0, Utterance.number)).all()


def quality_of(session: Session, interaction: Interaction) -> Sequence[CallQuality]:
    """How the sound of each party was carried; empty until a part of the call is over."""
    query = select(CallQuality).where(CallQuality.call_id == interaction.call_id)
    return session.scalars(query.order_by(CallQuality.leg, CallQuality.part)).all()


def recording_of(session: Session, interaction: Interaction) -> Recording | None:
    """The sealed recording; None until there is one."""
    return session.scalar(select(Recording).where(Recording.call_id == interaction.call_id))


def recording(session: Session, recording: str) -> tuple[Recording, Interaction] | None:
    """A recording and the interaction it belongs to, for the permission check."""
    query = (
        select(Recording, Interaction)
        .join(Interaction, Interaction.call_id == Recording.call_id)
        .where(Recording.id == recording)
    )
    found = session.execute(query).one_or_none()
    return (found[0], found[1]) if found else None


def dispositions(session: Session) -> Sequence[Disposition]:
    """What an agent may choose, in order."""
    query = select(Disposition).where(
        Disposition.system.is_(False), Disposition.retired_at.is_(None)
    )
    return session.scalars(query.order_by(Disposition.position)).all()


def last_of_customers(
    session: Session, customers: Iterable[str], *, each: int = 3
) -> dict[str, list[Interaction]]:
    """Customer → the newest interactions, at most `each`, in one query."""
    place = (
        func.row_number()
        .over(partition_by=Interaction.customer_id, order_by=Interaction.started_at.desc())
        .label("place")
    )
    ranked = (
        select(Interaction.id, place).where(Interaction.customer_id.in_(set(customers))).subquery()
    )
    query = (
        select(Interaction)
        .join(ranked, ranked.c.id == Interaction.id)
        .where(ranked.c.place <= each)
        .order_by(Interaction.started_at.desc())
    )
    found: dict[str, list[Interaction]] = {}
    for interaction in session.scalars(query):
        assert interaction.customer_id is not None
        found.setdefault(interaction.customer_id, []).append(interaction)
    return found


def last_agent_of(session: Session, customer: str) -> str | None:
    """The agent who talked with that customer last."""
    query = (
        select(Interaction.agent)
        .where(Interaction.customer_id == customer, Interaction.answered_at.is_not(None))
        .order_by(Interaction.started_at.desc())
        .limit(1)
    )
    return session.scalar(query)


def _page(
    session: Session,
    query: Select[Any],
    limit: int | None,
    cursor: str | None,
    few: Subquery | None = None,
) -> Page[Interaction]:
    began: Any = Interaction.started_at
    number: Any = Interaction.id
    if few is not None:
        query = query.join(few, few.c.id == Interaction.id)
        began, number = few.c.started_at, few.c.id
    if cursor:
        moment, id_ = moment_and_id(cursor)
        query = query.where(or_(began < moment, and_(began == moment, number < id_)))
    count = limited(limit)
    query = query.order_by(began.desc(), number.desc())
    rows = session.scalars(query.limit(count + 1)).all()
    last = rows[count - 1] if len(rows) > count else None
    return Page(rows[:count], after(last.started_at, last.id) if last else None)


def _unhandled() -> tuple[ColumnElement[bool], ...]:
    return Interaction.outcome.in_(MISSED), Interaction.handled_at.is_(None)


def _visible(agent: str | None) -> list[ColumnElement[bool]]:
    if agent is None:
        return []
    team = and_(Interaction.outcome.in_(MISSED), Interaction.owner.is_(None))
    own = or_(
        of_agent(agent),
        Interaction.owner == agent,
        Interaction.last_offered == agent,
    )
    return [or_(own, team)]


def _narrowed(
    session: Session, filters: Filters, visible_to: str | None, few: Subquery | None
) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = []
    for column, value in (
        (Interaction.call_id, filters.call_id),
        (Interaction.outcome, filters.outcome),
        (Interaction.customer_id, filters.customer),
        (Interaction.queue, filters.queue),
        (Interaction.direction, filters.direction),
    ):
        if value is not None:
            wanted.append(column == value)
    if filters.agent is not None:
        wanted.append(of_agent(filters.agent))
    if filters.agents is not None:
        wanted.append(of_agents(filters.agents))
    if filters.calls is not None:
        wanted.append(Interaction.call_id.in_(filters.calls))
    if filters.outcomes:
        wanted.append(Interaction.outcome.in_(filters.outcomes))
    if filters.since is not None:
        wanted.append(Interaction.started_at >= filters.since)
    if filters.until is not None:
        wanted.append(Interaction.started_at < filters.until)
    if filters.unhandled:
        wanted.extend(_unhandled())
    if filters.q and filters.q.strip():
        wanted.append(_holding(session, filters.q, visible_to, few))
    return wanted


def _holding(
    session: Session, q: str, visible_to: str | None, few: Subquery | None
) -> ColumnElement[bool]:
    """The words were said in the call, or begin words of the customer's name."""
    spoken = fts.numbers(session, q)
    if spoken is None:
        return Interaction.id.is_(None)
    calls = (
        select(Utterance.call_id)
        .join(Interaction, Interaction.call_id == Utterance.call_id)
        .where(
            Utterance.number.in_(spoken),
            Utterance.revision == Interaction.transcript_revision,
        )
    )
    if few is not None:  # their sentences are looked at, not everybody's
        calls = calls.where(Interaction.id.in_(select(few.c.id)))
    if visible_to is not None:  # nobody learns by searching what he may not read
        calls = calls.where(of_agent(visible_to))
    named = select(Customer.id).where(*(_named(word) for word in words(q)[:8]))
    return or_(Interaction.call_id.in_(calls), Interaction.customer_id.in_(named))


def _named(word: str) -> ColumnElement[bool]:
    return Customer.id.in_(
        select(CustomerWord.customer_id).where(
            CustomerWord.word >= word, CustomerWord.word < word + "\U0010ffff"
        )
    )
