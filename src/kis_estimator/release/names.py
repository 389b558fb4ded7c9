"""What the files of a release are called, and what its version and tag look like."""

from __future__ import annotations

import re

from kis_estimator.errors import KisError

SUMS = "SHA256SUMS"
SIGNATURE = "release.dsse.json"
FACTS = "release.json"
REPORT = "PROMOTION_READINESS_REPORT.md"
OPENAPI = "openapi.yaml"
SBOM = "sbom.cdx.json"
LOCK, DEV_LOCK = "requirements.lock", "requirements-dev.lock"
REPORTS = "reports"
TESTS = f"{REPORTS}/pytest.xml"
CHECKS = f"{REPORTS}/checks.json"
BENCH = f"{REPORTS}/bench-service.json"

_NUMBER = r"(?:0|[1-9][0-9]{0,8})"
VERSION = re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}")


def version_of(text: str) -> str:
    """Return the version that `vX.Y.Z` names. Raises RELEASE_VERSION_FORM.

    >>> version_of("v2.1.0")
    '2.1.0'
    """
    version = text.removeprefix("v")
    if version == text or VERSION.fullmatch(version) is None:
        raise KisError.of("RELEASE_VERSION_FORM", text=text)
    return version


def tag_of(version: str) -> str:
    """Return the tag of a version.

    >>> tag_of("2.1.0")
    'v2.1.0-estimator'
    """
    return f"v{version}-estimator"


def wheel_of(version: str) -> str:
    """Return the file name of a version's wheel."""
    return f"kis_estimator-{version}-py3-none-any.whl"
