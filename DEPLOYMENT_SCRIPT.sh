#!/usr/bin/env bash
# Deploy a release, or go back to the one before: ./DEPLOYMENT_SCRIPT.sh --help
set -euo pipefail

root=$(readlink -f -- "${BASH_SOURCE[0]}")
root=${root%/*}
for python in ${KIS_PYTHON:-} python3 python3.13 python3.12 python3.11; do
  if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    PYTHONPATH=$root/src exec "$python" -P -m kis_deploy --checkout "$root" "$@"
  fi
done
echo "Python 3.11 or newer is needed: install it, or name it in KIS_PYTHON" >&2
exit 2
