#!/usr/bin/env bash
# Step 5 of a deployment alone: make the private bucket, or bring the installation's own one to what
# the release needs, and see that the public key reaches nothing in it.
set -euo pipefail
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/../.."
exec ./DEPLOYMENT_SCRIPT.sh --step 5 "$@"
