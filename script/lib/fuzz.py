"""Start a service of its own, fuzz it for so many seconds, stop it: called by script/fuzz.

Ends with 0 where nothing was found, else with 1.
"""

import sys
import tempfile
from pathlib import Path

from tests.e2e.fuzzing import crashed, fuzz
from tests.e2e.live import serving


def main() -> int:
    """Print what the fuzzer says, and how many orders broke a worker's run."""
    seconds = sys.argv[1]
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(Path(folder) / "home", SSE_HEARTBEAT_SEC="1") as live,
    ):
        done = fuzz(live, f"--max-time={seconds}")
        broken = crashed(live)
    print(done.stdout)
    for reason, times in broken.items():
        print(f"Runs that broke: {times}, {reason}")
    return int(done.returncode != 0 or bool(broken))


if __name__ == "__main__":
    sys.exit(main())
