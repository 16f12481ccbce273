"""Alarms before something is full, and the reserve beside the database."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from callcenter import resources
from callcenter.resources import Reserve, Use, Watch


def test_an_alarm_begins_at_ninety_per_cent_and_does_not_flicker() -> None:
    watch, said = Watch(), []
    for used in (50, 89, 90, 89, 86, 95, 84, 89):
        said.append((used, watch.look([Use("calls", used, 100)]), sorted(watch.alarms)))
    assert [one for one in said if one[1]] == [(90, ["calls"], ["calls"]), (84, ["calls"], [])]
    assert watch.shares == {"calls": 0.89}


def test_each_resource_has_its_own_alarm() -> None:
    watch = Watch()
    assert watch.look([Use("calls", 99, 100), Use("rtp_ports", 1, 100)]) == ["calls"]
    assert watch.look([Use("rtp_ports", 100, 100)]) == ["rtp_ports"]
    assert watch.alarms == {"calls": 0.99, "rtp_ports": 1.0}
    assert watch.look([Use("descriptors", 5, 0)]) == ["descriptors"], "nothing is allowed: full"


def test_disks_and_descriptors_are_measured(tmp_path: Path) -> None:
    use = resources.disk("database_disk", tmp_path / "not" / "there" / "yet")
    assert 0 < use.used < use.limit
    before = resources.descriptors()
    with (tmp_path / "one").open("w"), (tmp_path / "two").open("w"):
        assert resources.descriptors().used == before.used + 2
    assert before.limit >= 256


def test_the_reserve_is_held_given_up_and_held_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "RESERVE_BYTES", 2**20)
    reserve = Reserve(tmp_path / "callcenter.db")
    assert reserve.release() is False
    reserve.hold()
    assert [(file.name, file.stat().st_size) for file in tmp_path.iterdir()] == [
        ("callcenter.db.reserve", 2**20)
    ]
    assert reserve.release() is True
    assert list(tmp_path.iterdir()) == []
    reserve.hold()
    assert reserve.release() is True


def test_a_server_has_no_reserve_of_ours() -> None:
    assert resources.database_file("postgresql+psycopg://somewhere/db") is None
    assert resources.database_file("sqlite:////data/callcenter.db") == Path("/data/callcenter.db")
    reserve = Reserve(None)
    reserve.hold()
    assert reserve.release() is False


def test_a_full_disk_is_told_from_other_failures() -> None:
    def failed(text: str) -> OperationalError:
        return OperationalError("INSERT", {}, Exception(text))

    assert resources.is_full(failed("database or disk is full"))
    assert not resources.is_full(failed("database is locked"))
