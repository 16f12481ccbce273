"""Which bus the settings name."""

from __future__ import annotations

from pathlib import Path

from callcenter.bus import HUB_SECONDS, Bus, LocalBus


def open_bus(url: str, run_dir: Path, *, patience: float = HUB_SECONDS) -> Bus:
    """The bus that `bus_url` names. Unavailable where nobody holds it for `patience` seconds."""
    if url == "local":
        return LocalBus(run_dir, patience=patience)
    from callcenter.redis_bus import RedisBus  # the library is not loaded where it is not used

    return RedisBus(url)
