"""The bill of materials of the software: CycloneDX 1.6, made from the lock that users install."""

from __future__ import annotations

import re
from collections.abc import Iterable
from uuid import UUID, uuid5

from kis_estimator.evidence.canonical import Json
from kis_estimator.release.locks import Pin

_PRODUCT = "kis-estimator"
_NAMESPACE = UUID("5d1a8c0e-7c55-4c3b-9f0e-0d4c7b6f3b1a")


def sbom(version: str, wheel_sha: str, created_at: str, pinned: Iterable[Pin]) -> dict[str, Json]:
    """Return the SBOM of a release: the product, what it installs, and who depends on what."""
    listed = sorted(pinned, key=lambda pin: pin.name)
    product = _component("application", _PRODUCT, version, [wheel_sha])
    wants: dict[str, list[str]] = {_PRODUCT: [], **{_key(pin.name): [] for pin in listed}}
    for pin in listed:
        for name in pin.wanted_by:
            wants.setdefault(_key(name), []).append(_purl(pin.name, pin.version))
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid5(_NAMESPACE, wheel_sha)}",
        "version": 1,
        "metadata": {"timestamp": created_at, "component": product},
        "components": [_component("library", p.name, p.version, p.hashes) for p in listed],
        "dependencies": [
            {"ref": ref, "dependsOn": wants[key]}
            for key, ref in (
                (_PRODUCT, product["bom-ref"]),
                *((_key(pin.name), _purl(pin.name, pin.version)) for pin in listed),
            )
        ],
    }


def _component(kind: str, name: str, version: str, hashes: Iterable[str]) -> dict[str, Json]:
    """Return a component; `hashes` are those of every file that the lock accepts for it."""
    purl = _purl(name, version)
    return {
        "type": kind,
        "bom-ref": purl,
        "name": name,
        "version": version,
        "purl": purl,
        "hashes": [{"alg": "SHA-256", "content": digest} for digest in hashes],
    }


def _purl(name: str, version: str) -> str:
    return f"pkg:pypi/{_key(name)}@{version}"


def _key(name: str) -> str:
    """Return a package's name as the index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()
