"""Which bus the settings name."""

from __future__ import annotations

from pathlib import Path

from callcenter.bus import Bus, LocalBus


def open_bus(url: str, run_dir: Path) -> Bus:
    """The bus that `bus_url` names. Raises Unavailable where nobody holds it."""
    if url == "local":
        return LocalBus(run_dir)
    from callcenter.redis_bus import RedisBus  # the library is not loaded where it is not used

    return RedisBus(url)
