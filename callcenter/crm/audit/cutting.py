"""Taking the oldest lines off the audit, link by link in the order of the chain."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, cast, delete, func, select
from sqlalchemy.orm import Session

from callcenter.crm.audit import operations as audit
from callcenter.crm.audit.models import AuditEntry
from callcenter.crm.audit.operations import AUDIT
from callcenter.crm.chains import checkpoints
from callcenter.crm.chains import operations as chains
from callcenter.crm.chains.links import Checkpoint
from callcenter.crm.chains.models import ChainLink
from callcenter.errors import ChainBroken

CUT = "cut"
"""What the audit says of each cut of a chain: its object is the last link that was taken, its
reason the proof of the checkpoint."""


def due(session: Session, before: datetime) -> int:
    """The newest line of the beginning that is older than that; 0: there is none.

    Whatever is younger stops it: also a line that was written while the clock was wrong.
    """
    young = select(AuditEntry.number).where(AuditEntry.at >= before)
    first = session.scalar(young.order_by(AuditEntry.number).limit(1))
    query = select(func.max(AuditEntry.number))
    if first is not None:
        query = query.where(AuditEntry.number < first)
    return session.scalar(query) or 0


def begin(session: Session) -> int:
    """The newest line that was ever taken; 0: none was."""
    known = checkpoints.find(session, AUDIT.name)
    return int(known.item) if known else 0


def counted(session: Session, until: int, keep: ColumnElement[bool]) -> int:
    """How many lines `cut` would take, called until it takes none."""
    known = checkpoints.find(session, AUDIT.name)
    if known is not None and until <= int(known.item):
        return 0
    last = _link(session, until)
    query = select(func.count()).select_from(AuditEntry)
    query = query.join(ChainLink, ChainLink.item == cast(AuditEntry.number, ChainLink.item.type))
    begin = known.number if known else 0
    mine = (
        ChainLink.chain == AUDIT.name,
        ChainLink.number > begin,
        ChainLink.number <= (last or 0),
    )
    return session.scalar(query.where(AuditEntry.number <= until, *mine, ~keep)) or 0


def cut(session: Session, until: int, keep: ColumnElement[bool], limit: int) -> tuple[int, int]:
    """Take at most so many lines off the beginning, up to line `until`, but none to `keep`.

    → how many were looked at, and how many of those were taken. In one transaction with the
    checkpoint and the line that tells of it. Raises ChainBroken where the beginning of the audit is
    not as it was written.
    """
    end = chains.lock(session, AUDIT)
    checkpoint = checkpoints.trusted(session, AUDIT.name)
    if checkpoint is not None and until <= int(checkpoint.item):
        return 0, 0
    last = _link(session, until)
    if last is None:
        text = f"nothing is taken from the audit, run callcenter recordings verify: line {until}"
        raise ChainBroken(f"{text} has no link", "added")
    links, contents = checkpoints.oldest(session, AUDIT, last, limit)
    if not links:
        return 0, 0
    numbers = [int(link.item) for link in links]
    lines = select(AuditEntry.number).where(AuditEntry.number.in_(numbers))
    kept = set(session.scalars(lines.where(keep)))
    gone = [number for number in numbers if number not in kept]

    def remove(behind: Checkpoint) -> None:
        # the new line first: SQLite would give it the number of the last one that went
        audit.record(session, None, CUT, AUDIT.name, str(behind.number), reason=behind.proof)
        these = delete(AuditEntry).where(AuditEntry.number.in_(gone))
        session.execute(these.execution_options(synchronize_session=False))

    item, hash = _newest(session, numbers, checkpoint)
    rows = [(str(number), contents[str(number)]) for number in numbers if number in kept]
    checkpoints.cut(session, AUDIT, end, links, rows, remove, item=item, hash=hash)
    return len(links), len(gone)


def _newest(session: Session, numbers: list[int], known: Checkpoint | None) -> tuple[str, str]:
    """Item and hash of the newest line that is or was taken: lines that were kept come again."""
    newest = max(numbers)
    if known is not None and int(known.item) > newest:
        return known.item, known.hash
    query = select(AuditEntry.hash).where(AuditEntry.number == newest)
    return str(newest), session.scalars(query).one()


def _link(session: Session, line: int) -> int | None:
    query = select(ChainLink.number)
    return session.scalar(query.where(ChainLink.chain == AUDIT.name, ChainLink.item == str(line)))
