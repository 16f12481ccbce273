"""Where a chain begins that retention has cut; taking its oldest links off."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from callcenter.crm.chains import links
from callcenter.crm.chains.links import Checkpoint, Link, Walk
from callcenter.crm.chains.models import ChainCheckpoint, ChainLink
from callcenter.crm.chains.operations import Chain, End, Rows, keys_of
from callcenter.errors import ChainBroken
from callcenter.events import now

Remove = Callable[[Checkpoint], None]
"""Tells of the checkpoint, then removes the rows themselves while the database lets go of them."""


def find(session: Session, chain: str) -> Checkpoint | None:
    """As the database has it: whether it is ours says `links.judged`."""
    fresh = select(ChainCheckpoint).execution_options(populate_existing=True)
    row = session.scalars(fresh.where(ChainCheckpoint.chain == chain)).one_or_none()
    return None if row is None else _spoken(row)


def trusted(session: Session, chain: str) -> Checkpoint | None:
    """The same. Raises ChainBroken where it is not ours."""
    checkpoint = find(session, chain)
    for finding in links.judged(chain, checkpoint, keys_of(session).known):
        raise _broken(finding)
    return checkpoint


def oldest(
    session: Session, chain: Chain, until: int, limit: int
) -> tuple[list[Link], Mapping[str, bytes]]:
    """So many links from the beginning of the chain, none behind link `until`; and their rows.

    Call it with the chain's end locked. Raises ChainBroken where they are not as they were written:
    what proves that somebody was here is not thrown away.
    """
    known = keys_of(session).known
    checkpoint = trusted(session, chain.name)
    begin = checkpoint.number if checkpoint else 0
    query = select(ChainLink).where(
        ChainLink.chain == chain.name, ChainLink.number > begin, ChainLink.number <= until
    )
    rows = session.scalars(query.order_by(ChainLink.number).limit(limit)).all()
    found = [Link(**{name: getattr(row, name) for name in Link.__slots__}) for row in rows]
    contents = dict(chain.some(session, [link.item for link in found]))
    walk = Walk(chain.name, known, checkpoint=checkpoint)
    for link in found:
        for finding in walk.step(link, contents.get(link.item)):
            raise _broken(finding)
    return found, contents


def cut(
    session: Session, chain: Chain, end: End, taken: list[Link], keep: Rows, remove: Remove,
    *, item: str, hash: str,
) -> None:  # fmt: skip
    """Take these links, which `oldest` gave, off the beginning, and set the checkpoint behind them.

    Rows to `keep` get new links at the chain's end and are vouched for as before. `item`, `hash`:
    see Checkpoint.
    """
    last = taken[-1]
    row = session.get(ChainCheckpoint, chain.name)
    if row is None:
        row = ChainCheckpoint(chain=chain.name)
        session.add(row)
    row.number, row.mac, row.item, row.hash, row.at = last.number, last.mac, item, hash, now()
    row.key, row.proof, row.cutting = "", "", True
    checkpoint = links.proven(keys_of(session).signing, _spoken(row))
    row.key, row.proof = checkpoint.key, checkpoint.proof
    session.flush()
    numbers = [link.number for link in taken]
    mine = (ChainLink.chain == chain.name, ChainLink.number.in_(numbers))
    session.execute(delete(ChainLink).where(*mine).execution_options(synchronize_session=False))
    remove(checkpoint)
    if keep:
        end.add_all(keep)
    row.cutting = False
    session.flush()


def _spoken(row: ChainCheckpoint) -> Checkpoint:
    at = row.at.astimezone(UTC).isoformat()
    return Checkpoint(
        row.chain, row.number, row.mac, row.item, row.hash, at, row.key, row.proof
    )  # fmt: skip


def _broken(finding: links.Finding) -> ChainBroken:
    text = f"nothing more is taken from the {finding.chain}, run callcenter recordings verify: "
    return ChainBroken(f"{text}{finding}", finding.kind)
