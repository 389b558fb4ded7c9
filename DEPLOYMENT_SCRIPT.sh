#!/usr/bin/env bash
# Deploy a release, or go back to the one before: ./DEPLOYMENT_SCRIPT.sh --help
set -euo pipefail

# Not PYTHONPATH: what the deployer runs (a release's own `kis`) would find this source, too.
start='import sys; sys.path.insert(0, sys.argv.pop(1)); from kis_deploy.cli import main; sys.exit(main())'
root=$(readlink -f -- "${BASH_SOURCE[0]}")
root=${root%/*}
for python in ${KIS_PYTHON:-} python3 python3.13 python3.12 python3.11; do
  if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    exec "$python" -P -c "$start" "$root/src" --checkout "$root" "$@"
  fi
done
echo "Python 3.11 or newer is needed: install it, or name it in KIS_PYTHON" >&2
exit 2
