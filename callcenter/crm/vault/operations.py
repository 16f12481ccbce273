"""Making, finding, moving, destroying and rewrapping keys.

Whoever wraps holds a shared lock until the commit and a rotation takes it alone before it throws an
old master key away; on SQLite the one write lock does that.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Engine, delete, func, select, text
from sqlalchemy.orm import Session

from callcenter.crm.db import insert_or
from callcenter.crm.vault.master import MasterKeys, of_name
from callcenter.crm.vault.models import CallKey, CustomerKey
from callcenter.crm.vault.wrapping import new_key, unwrap, wrap
from callcenter.errors import StartError

BATCH = 200
_OPTION = "master_keys"
_LOCK = 0x6B657973


def use_master(engine: Engine, keys: MasterKeys) -> None:
    """From now on keys in this engine's database are wrapped and unwrapped with these."""
    engine.update_execution_options(**{_OPTION: keys})


def master_of(session: Session) -> MasterKeys:
    """What the session's engine was given. Raises StartError where that is nothing."""
    keys = session.connection().get_execution_options().get(_OPTION)
    if keys is None:
        raise StartError("the database was opened without its master key")
    return keys  # type: ignore[no-any-return]


def key_for(session: Session, call: str, customer: str | None) -> bytes:
    """The call's key; made when there is none, under the customer's key or the master key."""
    found = find(session, call)
    if found is not None:
        return found
    _share(session)
    key = new_key()
    row = CallKey(call_id=call)
    _hang(session, row, key, customer)
    session.add(row)
    session.flush()
    return key


def find(session: Session, call: str) -> bytes | None:
    """The call's key; None when there is none or its customer's was destroyed."""
    row = session.get(CallKey, call)
    return None if row is None else _open(session, row)


def relink(session: Session, call: str | None, customer: str | None) -> None:
    """The call is that customer's now, or nobody's. A call without a key stays without."""
    row = session.get(CallKey, call) if call else None
    if row is None or row.customer_id == customer:
        return
    _share(session)
    key = _open(session, row)
    if key is not None:
        _hang(session, row, key, customer)
        session.flush()


def destroy(session: Session, customer: str | None, calls: Sequence[str] = ()) -> None:
    """Nobody can open these again: the customer's key, all that hang at it, and these calls'."""
    if customer is not None:
        session.execute(delete(CustomerKey).where(CustomerKey.customer_id == customer))
        session.execute(delete(CallKey).where(CallKey.customer_id == customer))
    if calls:
        session.execute(delete(CallKey).where(CallKey.call_id.in_(calls)))


def counts(session: Session) -> dict[str, int]:
    """How many keys hang directly at each master key, by its name."""
    found: dict[str, int] = {}
    for table in (CustomerKey, CallKey):
        query = select(table.master, func.count()).where(table.master.is_not(None))
        for name, count in session.execute(query.group_by(table.master)):
            found[str(name)] = found.get(str(name), 0) + count
    return found


def rewrap(session: Session, newest: str, limit: int = BATCH) -> int:
    """Hang at most `limit` keys from older master keys at the newest; how many were found."""
    keys = master_of(session).load()
    target = of_name(keys, newest)
    rows: list[CustomerKey | CallKey] = [
        *session.scalars(select(CustomerKey).where(CustomerKey.master != newest).limit(limit))
    ]
    if len(rows) < limit:
        query = select(CallKey).where(CallKey.master != newest).limit(limit - len(rows))
        rows += session.scalars(query)
    for row in rows:
        assert row.master is not None
        key = unwrap(of_name(keys, row.master), row.wrapped, _owner(row))
        row.wrapped, row.master = wrap(target, key, _owner(row)), newest
    session.flush()
    return len(rows)


def rotate(engine: Engine, *, fresh: bool) -> tuple[str, int]:
    """A new master key (unless `fresh` is False), all keys under it, the old ones away.

    Its name, and how many keys were moved. A run that was cut off is finished by the next one,
    which makes no other key. Raises ConfigError, RecordingError.
    """
    with Session(engine) as session, session.begin():
        _alone(session)
        master = master_of(session)
        newest = next(iter(master.load()))
        unfinished = any(name != newest for name in counts(session))
        if fresh and not unfinished:
            newest = master.add()
    moved = 0
    while True:
        with Session(engine) as session, session.begin():
            _alone(session)
            count = rewrap(session, newest)
            if not count:  # nobody can have wrapped with an old one since
                master.keep_only(newest)
                return newest, moved
            moved += count


def _hang(session: Session, row: CallKey, key: bytes, customer: str | None) -> None:
    if customer is None:
        name, master = next(iter(master_of(session).load().items()))
        row.wrapped, row.master = wrap(master, key, _owner(row)), name
    else:
        row.wrapped, row.master = wrap(_customer_key(session, customer), key, _owner(row)), None
    row.customer_id = customer


def _open(session: Session, row: CallKey) -> bytes | None:
    if row.customer_id is None:
        wrapping = of_name(master_of(session).load(), row.master or "")
        return unwrap(wrapping, row.wrapped, _owner(row))
    holder = session.get(CustomerKey, row.customer_id)
    if holder is None:
        return None
    return unwrap(_of_customer(session, holder), row.wrapped, _owner(row))


def _customer_key(session: Session, customer: str) -> bytes:
    """Made when there is none; several processes may come here at once."""
    if session.get(CustomerKey, customer) is None:
        name, master = next(iter(master_of(session).load().items()))
        made = wrap(master, new_key(), f"customer {customer}")
        values = {"customer_id": customer, "wrapped": made, "master": name}
        table = CustomerKey.__table__
        session.execute(insert_or(session, table).values(values).on_conflict_do_nothing())
    return _of_customer(session, session.get_one(CustomerKey, customer))


def _of_customer(session: Session, row: CustomerKey) -> bytes:
    return unwrap(of_name(master_of(session).load(), row.master), row.wrapped, _owner(row))


def _owner(row: CustomerKey | CallKey) -> str:
    if isinstance(row, CallKey):
        return f"call {row.call_id}"
    return f"customer {row.customer_id}"


def _share(session: Session) -> None:
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock_shared(:key)"), {"key": _LOCK})


def _alone(session: Session) -> None:
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
