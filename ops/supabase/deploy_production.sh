#!/usr/bin/env bash
# Step 6 of a deployment alone: serve the release on every host, then validate it.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."
if [[ ${APP_ENV:-} != production ]]; then
  echo "APP_ENV is not production: load .env.production first, or use deploy_test.sh" >&2
  exit 2
fi
exec ./DEPLOYMENT_SCRIPT.sh --step 6 --step 7 "$@"
