#!/usr/bin/env bash
# Serve an earlier release again: production_rollback.sh --to-tag vX.Y.Z
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."
if [[ ${1:-} != --to-tag || -z ${2:-} ]]; then
  echo "Usage: ${0##*/} --to-tag vX.Y.Z" >&2
  exit 2
fi
if [[ ${APP_ENV:-} != production ]]; then
  echo "APP_ENV is not production: load .env.production first, or use ./DEPLOYMENT_SCRIPT.sh --rollback" >&2
  exit 2
fi
exec ./DEPLOYMENT_SCRIPT.sh --rollback "$@"
