"""The port through which messages leave; the adapters are in `callcenter/messengers/`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message as it leaves. `to`: an e-mail address, or a number as E.164."""

    id: str  # the same at every attempt: who gets it twice can tell
    to: str
    language: str
    subject: str  # "" for text messages
    body: str


class Messenger(Protocol):
    """A way to customers."""

    def send(self, message: Outgoing) -> None:
        """Hand the message over; silent when it was taken.

        Raises MessageRefused where another attempt is of no use (no such address), MessageError
        where it may work later. Waits at most some seconds.
        """
