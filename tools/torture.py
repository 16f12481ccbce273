"""The torture set against a listener: prints the score, ends with 0 when the goals are reached.

.venv/bin/python tools/torture.py               a system of its own, with a call up meanwhile
.venv/bin/python tools/torture.py HOST PORT     a listener that is there (loopback only)
"""

import argparse
import ipaddress
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path[:0] = [str(TESTS / "e2e"), str(TESTS)]

from target import talking_system  # noqa: E402 - found by the line above
from torture import Score, Sender  # noqa: E402
from torture_set import cases  # noqa: E402


def run(host: str, port: int) -> Score:
    """Every message once."""
    sender = Sender(host, port)
    try:
        return sender.run(cases())
    finally:
        sender.close()


def main() -> int:
    """Choose the listener, print the score."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("host", nargs="?")
    parser.add_argument("port", nargs="?", type=int)
    wanted = parser.parse_args()
    if wanted.host is None:
        with tempfile.TemporaryDirectory() as folder, talking_system(Path(folder)) as world:
            score = run("127.0.0.1", world.sip_port)
    elif not ipaddress.ip_address(wanted.host).is_loopback or wanted.port is None:
        parser.error("a loopback address and a port")
    else:
        score = run(wanted.host, wanted.port)
    print("\n".join(score.lines()))
    return 0 if score.reached else 1


if __name__ == "__main__":
    sys.exit(main())
