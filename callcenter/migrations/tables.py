"""Every table that the migrations make, as the program declares them."""

from __future__ import annotations

from sqlalchemy import MetaData

from callcenter import leases, log
from callcenter.crm import models
from callcenter.telephony import dialogs, places, shared_floor
from callcenter.telephony.speech import tasks

FTS_TABLES = ("utterances_fts",)  # of each dialect's own kind; Alembic looks at none of them


def targets() -> list[MetaData]:
    """What the database should hold, for comparing with what it holds."""
    return [
        log.metadata,
        leases.metadata,
        models.metadata,
        shared_floor.metadata,
        dialogs.metadata,
        places.metadata,
        tasks.metadata,
    ]
