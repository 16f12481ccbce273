"""The composition root: the only module that knows every part and wires ports to adapters.

One function per process. Imports stand inside the functions, so that each process loads only
what it is made of.
"""

from __future__ import annotations

from callcenter.config import Settings


def run_telephony(settings: Settings) -> None:
    """SIP, RTP, WebRTC, queues, the recording journal; returns after SIGTERM and drain."""
    raise NotImplementedError


def run_speech(settings: Settings, index: int = 0) -> None:
    """Live captions and the second pass; returns after SIGTERM."""
    raise NotImplementedError


def run_web(settings: Settings) -> None:
    """Pages, API and sockets; returns after SIGTERM."""
    raise NotImplementedError


def run_jobs(settings: Settings) -> None:
    """Sealing recordings and other work that may take long; returns after SIGTERM."""
    raise NotImplementedError
