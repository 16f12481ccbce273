"""Verifying: every link, every row, every file, in batches; what is wrong, first things first.

The system may go on writing meanwhile: a row and its link are one transaction, and the walk ends
where the chain ended when it began. Where retention cut a chain meanwhile it is walked again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from sqlalchemy import Engine, func, inspect, select
from sqlalchemy.orm import Session

from callcenter.config import AUDIT_LEAST_DAYS
from callcenter.crm.audit import operations as audit
from callcenter.crm.audit.cutting import CUT
from callcenter.crm.audit.models import AuditEntry
from callcenter.crm.chains import checkpoints
from callcenter.crm.chains.keys import Key
from callcenter.crm.chains.links import START, Checkpoint, Finding, Head, Link, Walk, judged
from callcenter.crm.chains.models import ChainCheckpoint, ChainEnd, ChainLink
from callcenter.crm.chains.operations import BATCH, Chain, keys_of
from callcenter.crm.interactions.models import Recording
from callcenter.crm.interactions.sealed import RECORDINGS
from callcenter.crm.trust import CHAINS, heads
from callcenter.crm.trust.heads import Heads
from callcenter.database import reading
from callcenter.events import now

SHRED = "shred"
"""What the audit says of a recording whose files were removed because its time was over."""
SHOWN = 20
"""So many findings are kept; the rest is counted."""


class SoundFiles(Protocol):
    """Where sealed files are."""

    def sha256(self, path: str) -> str | None:
        """Of the file at this path, read in pieces; None where there is none.

        Raises RecordingError where it cannot be read.
        """


Progress = Callable[[str, int, int], None]
"""Told of which chain so many links of so many are done."""


@dataclass(slots=True)
class Report:
    """What was looked at and what was found, in this order."""

    counts: dict[str, int] = field(default_factory=dict)
    cuts: dict[str, int] = field(default_factory=dict)
    """The last link that retention took, of chains that it has cut."""
    bytes: int = 0
    shredded: int = 0
    heads: int | None = None
    findings: list[Finding] = field(default_factory=list)
    wrong: int = 0

    def add(self, found: Sequence[Finding]) -> None:
        """Keep the first ones, count all."""
        self.wrong += len(found)
        self.findings += found[: SHOWN - len(self.findings)]

    def join(self, other: Report) -> None:
        """Add what was found of one chain."""
        self.counts |= other.counts
        self.cuts |= other.cuts
        self.bytes += other.bytes
        self.shredded += other.shredded
        self.findings += other.findings[: SHOWN - len(self.findings)]
        self.wrong += other.wrong


class Verifier:
    """One verification of this database and these files."""

    def __init__(self, engine: Engine, files: SoundFiles, progress: Progress) -> None:
        self._engine, self._reader = engine, reading(engine)
        self._files, self._progress = files, progress
        self._report = Report()

    def run(self, heads_file: Path | None) -> Report:
        """Look at everything, note in the audit that this was done and how it ended."""
        with Session(self._reader) as session:
            keys = keys_of(session)
        known = heads.read(heads_file, keys) if heads_file else Heads()
        self._report.heads = known.lines if heads_file else None
        for chain in CHAINS:
            self._chain(chain, keys.known, known)
        self._report.add(known.findings)
        self._note()
        return self._report

    def _chain(self, chain: Chain, keys: Mapping[str, Key], known: Heads) -> None:
        while True:
            begin = self._begin(chain)
            report = Report()
            seen, cuts = known.seen.get(chain.name, ()), known.cuts.get(chain.name, ())
            today = now().date()
            report.add(judged(chain.name, begin, keys, seen, cuts, AUDIT_LEAST_DAYS, today))
            if begin is not None:
                report.cuts[chain.name] = begin.number
            self._look(chain, Walk(chain.name, keys, seen, begin), report)
            report.add(self._untold(chain, begin) if not report.wrong else [])
            if self._begin(chain) == begin:
                return self._report.join(report)

    def _look(self, chain: Chain, walk: Walk, report: Report) -> None:
        last, end = self._end(chain)
        count = 0
        for links, rows in self._links(chain, end.count):
            for link in links:
                found = walk.step(link, rows.get(link.item))
                report.add(found)
                if chain is RECORDINGS and not found:
                    report.add(self._file(link, report))
            count += len(links)
            self._progress(chain.name, count, end.count - walk.begin)
        report.counts[chain.name] = count
        report.add(walk.end(end))
        if last > end.count:
            text = f"links follow the end that the database speaks of, {end.count}"
            report.add([Finding("changed", chain.name, f"link {end.count + 1}", text)])
        self._unlinked(chain, last, report)

    def _begin(self, chain: Chain) -> Checkpoint | None:
        """A copy from before migration 0037 has none."""
        if not inspect(self._reader).has_table(ChainCheckpoint.__tablename__):
            return None
        with Session(self._reader) as session:
            return checkpoints.find(session, chain.name)

    def _untold(self, chain: Chain, begin: Checkpoint | None) -> list[Finding]:
        """A checkpoint of which the audit, a chain of its own, does not speak; or the reverse."""
        query = select(AuditEntry.object, AuditEntry.reason).where(
            AuditEntry.kind == chain.name, AuditEntry.what == CUT
        )
        with Session(self._reader) as session:
            told = session.execute(query.order_by(AuditEntry.number.desc()).limit(1)).first()
        said = (told.object, told.reason) if told else None
        if said == ((str(begin.number), begin.proof) if begin else None):
            return []
        place = f"behind link {begin.number if begin else 0}"
        text = "the audit does not speak of it"
        if said is not None:
            text = f"the audit speaks of another one, behind link {said[0]}"
        return [Finding("checkpoint", chain.name, place, text)]

    def _end(self, chain: Chain) -> tuple[int, Head]:
        """The last number first: a link that comes meanwhile is no finding."""
        numbers = select(func.max(ChainLink.number)).where(ChainLink.chain == chain.name)
        with Session(self._reader) as session:
            last = session.scalar(numbers) or 0
        with Session(self._reader) as session:
            row = session.get(ChainEnd, chain.name)
            return last, Head(row.count, row.mac) if row else Head(0, START)

    def _links(self, chain: Chain, until: int) -> Iterator[tuple[list[Link], Mapping[str, bytes]]]:
        after = 0
        while True:
            query = select(ChainLink).where(
                ChainLink.chain == chain.name, ChainLink.number > after, ChainLink.number <= until
            )
            with Session(self._reader) as session:
                rows = session.scalars(query.order_by(ChainLink.number).limit(BATCH)).all()
                links = [
                    Link(**{name: getattr(row, name) for name in Link.__slots__}) for row in rows
                ]
                contents = dict(chain.some(session, [link.item for link in links]))
            if not links:
                return
            yield links, contents
            after = links[-1].number

    def _file(self, link: Link, report: Report) -> list[Finding]:
        with Session(self._reader) as session:
            row = session.get(Recording, link.item)
        if row is None:  # it was there a moment ago
            return []
        place = f"link {link.number} ({link.item})"
        found = self._files.sha256(row.path)
        if found is None and self._was_shredded(row.id):
            report.shredded += 1
            return []
        if found is None:
            return [Finding("missing", RECORDINGS.name, place, f"its file {row.path} is not there")]
        report.bytes += row.file_size
        if found != row.file_sha256 and not self._just_redacted(row, found):
            text = f"its file {row.path} is not as it was sealed"
            return [Finding("changed", RECORDINGS.name, place, text)]
        return []

    def _was_shredded(self, recording: str) -> bool:
        """The audit, a chain of its own, knows whose time was over."""
        noted = select(AuditEntry.number).where(
            AuditEntry.kind == "recording",
            AuditEntry.object == recording,
            AuditEntry.what == SHRED,
        )
        with Session(self._reader) as session:
            return session.scalar(noted.limit(1)) is not None

    def _just_redacted(self, known: Recording, found: str) -> bool:
        """Whether the file was replaced after its row was read."""
        with Session(self._reader) as session:
            row = session.get(Recording, known.id)
            return row is not None and row.file_sha256 == found

    def _unlinked(self, chain: Chain, last: int, report: Report) -> None:
        """Rows that nobody of ours wrote, or whose link was taken away."""
        after = ""
        while True:
            with Session(self._reader) as session:
                items = [item for item, _ in chain.page(session, after, BATCH)]
                query = select(ChainLink.item).where(
                    ChainLink.chain == chain.name, ChainLink.item.in_(items)
                )
                linked = set(session.scalars(query))
            if not items:
                return
            text = "a row without a link" if last else "nothing is chained yet: start the system"
            missing = [item for item in items if item not in linked]
            report.add([Finding("added", chain.name, f"row {one}", text) for one in missing])
            after = items[-1]

    def _note(self) -> None:
        first = self._report.findings[0] if self._report.findings else None
        with Session(self._engine) as session, session.begin():
            audit.record(
                session,
                None,
                "verify",
                "recordings",
                reason=str(first or ""),
                result=first.kind if first else "ok",
            )


def verify(
    engine: Engine,
    files: SoundFiles,
    heads_file: Path | None = None,
    progress: Progress = lambda what, done, total: None,
) -> Report:
    """See Verifier. Raises Invalid where the file of heads cannot be read."""
    return Verifier(engine, files, progress).run(heads_file)
