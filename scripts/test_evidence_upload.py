#!/usr/bin/env python3
"""Upload random evidence to the bucket of an environment, read it back and compare SHA-256.

Exit codes: 0 equal, 1 different, 2 the call or the environment is wrong, 3 storage unavailable.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(_CHECKOUT / "src"))

from kis_deploy.config import Config  # noqa: E402 - found by the line above
from kis_deploy.problems import DeployError  # noqa: E402
from kis_deploy.validate import evidence_upload  # noqa: E402
from kis_deploy.variables import check_variables  # noqa: E402

_NEEDED = frozenset({"APP_ENV", "SUPABASE_URL", "SUPABASE_SERVICE_ROLE_KEY", "STORAGE_BUCKET"})
_EQUAL, _DIFFERENT, _WRONG, _UNAVAILABLE = range(4)


def main() -> int:
    """Run the test; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--env", required=True, choices=("staging", "production"))
    wanted = parser.parse_args().env
    problems = [str(p) for p in check_variables(os.environ) if p.what in _NEEDED]
    config = Config(dict(os.environ), _CHECKOUT)
    if not problems and config["APP_ENV"] != wanted:
        problems = [f"APP_ENV: is not {wanted}. Load .env.{wanted} first"]
    if problems:
        print(*problems, sep="\n", file=sys.stderr)
        return _WRONG
    try:
        sent, read = evidence_upload(config)
    except DeployError as error:
        print(error, file=sys.stderr)
        return _UNAVAILABLE
    print(f"sent      {sent}\nread back {read}")
    print("✅ SHA-256 match" if sent == read else "❌ SHA-256 differ")
    return _EQUAL if sent == read else _DIFFERENT


if __name__ == "__main__":
    sys.exit(main())
