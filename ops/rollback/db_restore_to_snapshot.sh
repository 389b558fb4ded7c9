#!/usr/bin/env bash
# Bring the database back to a snapshot, and leave the application as it is:
# db_restore_to_snapshot.sh ID [--check] [--yes]. `script/kis db list` shows the snapshots.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."
if [[ ${1:-} != [0-9]* ]]; then
  echo "Usage: ${0##*/} SNAPSHOT_ID [--check] [--yes]" >&2
  exit 2
fi
exec ./DEPLOYMENT_SCRIPT.sh --restore "$@"
