"""What is kept of a dialog while it lasts, so that a later process can end it (RFC 3261 12, 15.1).

A killed process forgets its dialogs, the peer does not: it would listen to silence until its own
timers give up. The memo of an answered call is committed beside the facts; the process that is
started anew sends the BYE from it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import msgspec

from callcenter.errors import SipFailure, SipSyntaxError
from callcenter.telephony.ports import Address
from callcenter.telephony.sip.actions import Flow
from callcenter.telephony.sip.client import NonInviteClient
from callcenter.telephony.sip.dialog import Dialog
from callcenter.telephony.sip.headers import Via
from callcenter.telephony.sip.transaction import MAGIC_COOKIE, Layer
from callcenter.telephony.sip.uri import parse_uri

AHEAD = 1000
"""Added to the CSeq that was remembered: requests of ours may have followed, and the peer takes
any number above the last (RFC 3261 12.2.2)."""


@dataclass(frozen=True, slots=True)
class Memo:
    """A dialog as plain text and numbers; `flow` leads to the peer."""

    call_id: str
    local_tag: str
    remote_tag: str
    local: str
    remote: str
    remote_target: str
    route_set: tuple[str, ...]
    local_seq: int
    flow: Flow


def memo_of(dialog: Dialog, flow: Flow) -> dict[str, Any]:
    """The dialog as JSON types."""
    memo = Memo(
        call_id=dialog.call_id,
        local_tag=dialog.local_tag,
        remote_tag=dialog.remote_tag,
        local=dialog.local,
        remote=dialog.remote,
        remote_target=str(dialog.remote_target),
        route_set=dialog.route_set,
        local_seq=dialog.local_seq,
        flow=flow,
    )
    built: dict[str, Any] = msgspec.to_builtins(asdict(memo))
    return built


def read_memo(memo: dict[str, Any]) -> Memo:
    """Raises SipFailure for one that this version cannot read."""
    try:
        return msgspec.convert(memo, type=Memo)
    except msgspec.ValidationError as error:
        raise SipFailure(f"the memo of a dialog cannot be read: {error}") from None


def say(
    layer: Layer,
    token: Callable[[], str],
    memo: Memo,
    now: float,
    done: Callable[[int | None], None],
) -> None:
    """Send BYE, repeat it as timer E says; `done` gets the answer's status, None without one.

    Raises SipFailure for a memo whose addresses cannot be read.
    """
    local: Address = memo.flow.local
    parameters = (("rport", None), ("branch", MAGIC_COOKIE + token()))
    via = Via(memo.flow.transport, local.host, local.port, parameters)
    try:
        bye = _dialog(memo).request("BYE", via)
    except SipSyntaxError as error:
        raise SipFailure(f"the memo of a dialog cannot be used: {error.detail}") from None
    bye.set_body(b"")

    def outcome(response: Any, at: float) -> None:
        if response is None or response.status >= 200:
            done(response.status if response else None)

    NonInviteClient(layer, bye, memo.flow, outcome).opened().begin(now)


def _dialog(memo: Memo) -> Dialog:
    return Dialog(
        call_id=memo.call_id,
        local_tag=memo.local_tag,
        remote_tag=memo.remote_tag,
        local=memo.local,
        remote=memo.remote,
        remote_target=parse_uri(memo.remote_target),
        route_set=memo.route_set,
        remote_seq=0,
        local_seq=memo.local_seq + AHEAD,
    )
