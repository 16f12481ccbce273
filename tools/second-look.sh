#!/usr/bin/env bash
# Runs pytest with the given arguments. The few tests that failed run once more, by themselves, with everything started
# anew: a machine that stood still for a while is no fault of the product; a fault fails again. Both runs are printed.
set -uo pipefail
cd "$(dirname "$0")/.."
most=6

.venv/bin/pytest -q "$@"
status=$?
[ $status = 1 ] || exit $status  # all passed, or pytest itself could not run

failed=$(.venv/bin/python - <<'PY'
import json, pathlib
print(len(json.loads(pathlib.Path(".pytest_cache/v/cache/lastfailed").read_text())))
PY
)
if [ "$failed" -gt $most ]; then exit 1; fi
echo "callcenter: AGAIN, $failed of the tests that failed above:"
exec .venv/bin/pytest -q "$@" --last-failed --last-failed-no-failures none
