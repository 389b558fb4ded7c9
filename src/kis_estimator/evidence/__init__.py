"""The evidence of a run: canonical JSON, checksums, what each stage did."""

from kis_estimator.evidence.canonical import canonical, checksums, plain, pretty, sha256
from kis_estimator.evidence.stages import design_sha, stage_files

__all__ = ["canonical", "checksums", "design_sha", "plain", "pretty", "sha256", "stage_files"]
