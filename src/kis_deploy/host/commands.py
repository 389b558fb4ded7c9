"""What the agent prints: lines of JSON; and its commands, which go into the deployment's log."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from contextlib import suppress

from kis_deploy.runner import Runner


class Noted(Runner):
    """Runs commands; what they are and what they print is sent as lines for the log."""

    def note(self, text: str) -> None:
        """Send a line for the log."""
        print_line({"log": text})


def print_line(line: Mapping[str, object]) -> None:
    """Print a line; a lost connection is no reason to stop half-way."""
    with suppress(BrokenPipeError):
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
