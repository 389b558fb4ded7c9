"""A restore that is killed right after one of its steps: DSN, folder, ID, step."""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from kis_estimator.store import snapshot_restore
from kis_estimator.store.snapshot_file import SnapshotKey
from kis_estimator.store.snapshots import opened


def main(dsn: str, folder: str, name: str, step: str) -> None:
    real = getattr(snapshot_restore, step)

    def then_killed(*values: Any) -> None:
        real(*values)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(snapshot_restore, step, then_killed)
    key = SnapshotKey(b"k" * 32)
    snapshot_restore.swap(dsn, opened(Path(folder), key, name), key, lambda: None)


if __name__ == "__main__":
    main(*sys.argv[1:])
