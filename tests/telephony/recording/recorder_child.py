# ruff: noqa: T201 - its parent reads what it prints
"""Records numbered frames faster than life until it is killed; prints what it has synced.

recorder_child.py REPO FOLDER CALL [LARGEST_FILE]: with a limit the disk seems full beyond it.
"""

import contextlib
import resource
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(sys.argv[1]) / "tests" / "data" / "sipp"))

from mkaudio import frame  # type: ignore[import-not-found]

from callcenter.errors import RecordingError
from callcenter.telephony.adapters.recordings import DiskRecordings
from callcenter.telephony.ports import Codec

folder, call = Path(sys.argv[2]), sys.argv[3]
journal = DiskRecordings(folder).open_journal(call)
if len(sys.argv) > 4:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]), resource.RLIM_INFINITY))
    for number in range(150):
        journal.leg("agent").write(160 * number, frame(number), Codec.PCMU)
    with contextlib.suppress(RecordingError):
        journal.sync(160 * 150)
    print(journal.failure, flush=True)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    journal.close(160 * 150)
    sys.exit()
for number in range(32000):
    journal.leg("agent").write(160 * number, frame(number), Codec.PCMU)
    journal.leg("customer").write(160 * number, frame(number + 1), Codec.PCMU)
    if number % 50 == 49:
        journal.sync(160 * (number + 1))
        print(160 * (number + 1), flush=True)
        time.sleep(0.01)
