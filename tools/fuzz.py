"""Fuzzing for a night (`make fuzz`): the parsers with atheris, then mutants against a live system.

    .venv/bin/python tools/fuzz.py [--seconds N] [--messages N] [--seed N]

Ends with 0 when no parser raised what it must not, the listener answered all the time and its
memory stayed flat. What atheris finds it writes as crash-… into the folder it runs in.
"""

import argparse
import importlib.util
import secrets
import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1] / "tests"
sys.path[:0] = [str(TESTS / "e2e"), str(TESTS)]

from fuzz import bombard  # noqa: E402 - found by the line above
from target import talking_system  # noqa: E402
from torture_set import FOLDER  # noqa: E402

PARSERS = Path(__file__).with_name("fuzz_parsers.py")
TARGETS = ("sip", "sdp", "digest", "rtp", "stream")


def parsers(seconds: int, seed: int) -> bool:
    """Each parser under coverage-guided fuzzing; True when all held."""
    if importlib.util.find_spec("atheris") is None:
        say("atheris is not installed here: the parsers are left to the mutants")
        return True
    held = True
    for target in TARGETS:
        say(f"atheris: {target} for {seconds} s, seed {seed}")
        line = [sys.executable, str(PARSERS), target, f"-max_total_time={seconds}"]
        line += [f"-seed={seed}", "-max_len=8192", "-print_final_stats=1"]
        with tempfile.TemporaryDirectory() as corpus:
            done = subprocess.run(
                [*line, corpus, str(FOLDER / "msgs")], capture_output=True, text=True, check=False
            )
        runs = [one for one in done.stderr.splitlines() if "number_of_executed_units" in one]
        say(f"  {'held' if done.returncode == 0 else 'BROKE'} {' '.join(runs)}")
        if done.returncode:
            say(done.stderr[-3000:])
            held = False
    return held


def mutants(messages: int, seed: int) -> bool:
    """Mutants against a listener with a live call; True when it stood."""
    say(f"mutants: {messages}, seed {seed}")
    with tempfile.TemporaryDirectory() as folder, talking_system(Path(folder)) as world:
        (pid,) = world.pids("telephony")
        outcome = bombard(world.sip_port, pid, messages=messages, seed=seed)
        alive = world.pids("telephony") == [pid]
    say(outcome.line())
    return outcome.well and alive


def say(text: str) -> None:
    """To whoever reads in the morning."""
    print(text, flush=True)


def main() -> int:
    """Both kinds, one after the other."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=int, default=60, help="for each parser")
    parser.add_argument("--messages", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**31))
    wanted = parser.parse_args()
    held = parsers(wanted.seconds, wanted.seed)
    stood = mutants(wanted.messages, wanted.seed)
    return 0 if held and stood else 1


if __name__ == "__main__":
    sys.exit(main())
