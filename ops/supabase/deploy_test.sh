#!/usr/bin/env bash
# The same as deploy_production.sh, for staging.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."
if [[ ${APP_ENV:-} != staging ]]; then
  echo "APP_ENV is not staging: load .env.staging first" >&2
  exit 2
fi
exec ./DEPLOYMENT_SCRIPT.sh --step 6 --step 7 "$@"
