#!/usr/bin/env bash
# Step 5 of a deployment alone: make the private bucket, or check the one that is there.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."
exec ./DEPLOYMENT_SCRIPT.sh --step 5 "$@"
