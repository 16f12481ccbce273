"""The fail2ban files of deploy/: read by fail2ban itself, on lines that the product wrote."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration  # runs fail2ban's own programs

FILES = Path(__file__).parents[1] / "deploy" / "fail2ban"
FILTER = FILES / "filter.d" / "callcenter.conf"

SPEAK = """
import structlog
from callcenter import logs
from callcenter.config import Log
logs.setup(Log(format="{style}"), "telephony")
say = structlog.get_logger().warning
say("SECURITY sip", src="192.0.2.7", reason="wrong digest")
say("SECURITY sip", src="2001:db8::7", reason="banned for 600 s: wrong digest")
say("sip registration", src="192.0.2.99", state="registered")
say("call ended", reason="192.0.2.98 said SECURITY")
"""


def lines(style: str) -> str:
    """What a process of the product writes."""
    program = SPEAK.format(style=style)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=True
    )
    return re.sub(r"\x1b\[[0-9;]*m", "", done.stderr)


@pytest.mark.parametrize("style", ["json", "console"])
def test_fail2ban_finds_the_sources_that_were_refused_and_no_others(
    style: str, tmp_path: Path
) -> None:
    assert shutil.which("fail2ban-regex"), "fail2ban is missing: tools/test-needs.sh installs it"
    log = tmp_path / "callcenter.log"
    log.write_text(lines(style), encoding="utf-8")
    found = subprocess.run(
        ["fail2ban-regex", "--print-all-matched", "-o", "<ip>", str(log), str(FILTER)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert found.stdout.split() == ["192.0.2.7", "2001:db8::7"], found
    told = subprocess.run(
        ["fail2ban-regex", str(log), str(FILTER)], capture_output=True, text=True, timeout=120
    )
    assert "4 lines, 0 ignored, 2 matched, 2 missed" in told.stdout, told.stdout
    assert "Date template hits:\n|- [# of hits] date format" in told.stdout


def test_fail2ban_takes_the_jail(tmp_path: Path) -> None:
    """The whole configuration, dry: Debian's own defaults with our two files."""
    folder = tmp_path / "fail2ban"
    shutil.copytree("/etc/fail2ban", folder)
    for kind in ("filter.d", "jail.d"):
        shutil.copy(FILES / kind / "callcenter.conf", folder / kind)
    (folder / "jail.d" / "defaults-debian.conf").unlink(missing_ok=True)
    jail = folder / "jail.d" / "callcenter.conf"
    log = tmp_path / "callcenter.log"
    log.touch()
    jail.write_text(jail.read_text("utf-8").replace("/var/log/callcenter.log", str(log)), "utf-8")
    tested = subprocess.run(
        ["fail2ban-client", "-c", str(folder), "-d"], capture_output=True, text=True, timeout=120
    )
    assert tested.returncode == 0, tested.stderr
    assert "['add', 'callcenter', 'auto']" in tested.stdout
    assert "['set', 'callcenter', 'maxretry', 3]" in tested.stdout
    assert "SECURITY sip" in tested.stdout
