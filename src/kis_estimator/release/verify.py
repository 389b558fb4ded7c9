"""Check a release without trusting it: files, signature, and what it says of itself."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping, Sequence
from email.parser import BytesParser
from typing import Any

from kis_estimator.errors import KisError, Notice
from kis_estimator.evidence import Pack, Report, Verdict, envelope
from kis_estimator.evidence.archive import ZIP_ERRORS, open_archive
from kis_estimator.evidence.canonical import read_object
from kis_estimator.evidence.pack import WHOLE
from kis_estimator.evidence.verify import Kind, sum_lines
from kis_estimator.release import names
from kis_estimator.release.statement import statement

_SMALL = 4 << 20
_METADATA_LIMIT = 1 << 20
_TEXT = (str,)
_FACTS = dict.fromkeys(("version", "tag", "commit", "openapiSha256", "createdAt"), _TEXT)
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)
_PARTS = (names.FACTS, names.OPENAPI, names.LOCK, names.REPORT, names.SBOM)


def verify(release: Pack, keys: Sequence[envelope.Verifier] = ()) -> Report:
    """Return one verdict per file of a release, and who signed it.

    With keys it must be signed by one of them; without, the signature is `unchecked`.
    """
    return _Check(release, keys).run()


class _Check:
    """Collects one verdict per file: the first problem said of a file stays."""

    def __init__(self, release: Pack, keys: Sequence[envelope.Verifier]) -> None:
        self.release = release
        self.keys = keys
        self.verdicts: dict[str, Verdict] = {}
        self.signed_by: str | None = None

    def say(self, name: str, kind: Kind, code: str | None = None, **params: object) -> None:
        """Keep a verdict; one that is no "ok" stays."""
        known = self.verdicts.get(name)
        if known is None or known.kind == "ok":
            self.verdicts[name] = Verdict(name, kind, Notice(code, params) if code else None)

    def run(self) -> Report:
        for problem in self.release.problems:
            self.verdicts[problem.name] = Verdict(problem.name, "unsafe", problem.notice)
        if WHOLE in self.verdicts:
            return Report(tuple(self.verdicts.values()))
        sums = self._sums()
        self._files(sums)
        facts = self._facts(sums or {})
        self._signature(sums, facts)
        verdicts = sorted(self.verdicts.values(), key=lambda verdict: verdict.name)
        return Report(tuple(verdicts), predicate=facts, signed_by=self.signed_by)

    def _read(self, name: str, limit: int = _SMALL) -> bytes | None:
        """Return the bytes of a file; None, and a verdict, where it cannot be had."""
        if name not in self.release.digests:
            self.say(name, "missing", "VERIFY_MISSING")
            return None
        try:
            return self.release.read(name, limit)
        except KisError:
            self.say(name, "unsafe", "PACK_BOMB")
            return None

    def _sums(self) -> dict[str, str] | None:
        data = self._read(names.SUMS)
        if data is None:
            return None
        try:
            sums = dict(sum_lines(data))
        except ValueError as error:
            self.say(names.SUMS, "changed", "VERIFY_BROKEN", reason=str(error))
            return None
        if listed := sorted(sums.keys() & {names.SUMS, names.SIGNATURE}):
            self.say(names.SUMS, "changed", "VERIFY_SUMS_DIFFER", files=listed)
        self.say(names.SUMS, "ok")
        return sums

    def _files(self, sums: Mapping[str, str] | None) -> None:
        found = self.release.digests
        for name in found.keys() - {names.SUMS, names.SIGNATURE}:
            if sums is None:
                self.say(name, "unchecked", "RELEASE_NOT_COMPARED")
            elif name not in sums:
                self.say(name, "extra", "RELEASE_EXTRA")
            elif sums[name] != found[name]:
                self.say(name, "changed", "VERIFY_SUM")
            else:
                self.say(name, "ok")
        for name in {*(sums or ()), *_PARTS} - found.keys():
            self.say(name, "missing", "VERIFY_MISSING")

    def _facts(self, sums: Mapping[str, str]) -> dict[str, Any] | None:
        """Return `release.json` where all of it agrees with the other files."""
        data = self._read(names.FACTS)
        if data is None:
            return None
        try:
            facts = read_object(data, _FACTS)
        except ValueError as error:
            self.say(names.FACTS, "changed", "VERIFY_BROKEN", reason=str(error))
            return None
        wrong = {
            "version": names.VERSION.fullmatch(facts["version"]) is None,
            "tag": facts["tag"] != names.tag_of(facts["version"]),
            "commit": _COMMIT.fullmatch(facts["commit"]) is None,
            "openapiSha256": facts["openapiSha256"] != sums.get(names.OPENAPI),
            "createdAt": _TIME.fullmatch(facts["createdAt"]) is None,
        }
        fields = [name for name, is_wrong in wrong.items() if is_wrong]
        if fields:
            self.say(names.FACTS, "changed", "RELEASE_INCONSISTENT", fields=fields)
            return None
        self._wheel(facts["version"])
        return facts

    def _wheel(self, version: str) -> None:
        """Hold the metadata of the wheel against the version."""
        name = names.wheel_of(version)
        data = self._read(name, 256 << 20)
        if data is not None and _identity(data, version) != ("kis-estimator", version):
            self.say(name, "changed", "RELEASE_OTHER_WHEEL", version=version)

    def _signature(self, sums: Mapping[str, str] | None, facts: Mapping[str, Any] | None) -> None:
        name = names.SIGNATURE
        data = self._read(name)
        if data is None:
            return
        try:
            payload, sealed = envelope.open_envelope(data, envelope.STATEMENT)
        except ValueError as error:
            self.say(name, "changed", "VERIFY_BROKEN", reason=str(error))
            return
        expected = None
        if sums is not None and facts is not None:
            expected = statement(sums, self.release.digests[names.SUMS], facts)
        signed_by = envelope.signed_by(sealed, self.keys)
        if payload != expected:
            found = self._differs_from(payload) if signed_by else False
            if not found:
                self.say(name, "changed", "RELEASE_OTHER_FILES")
        elif signed_by is None and self.keys:
            self.say(name, "changed", "VERIFY_SIGNATURE")
        elif signed_by is None:
            self.say(name, "unchecked", "VERIFY_UNCHECKED")
        else:
            self.signed_by = signed_by
        self.say(name, "ok")

    def _differs_from(self, payload: bytes) -> bool:
        """Name each file that is not as a trusted statement says; whether there is one."""
        try:
            signed = {s["name"]: s["digest"]["sha256"] for s in json.loads(payload)["subject"]}
        except (ValueError, KeyError, TypeError, RecursionError):
            return False
        found = self.release.digests
        differing = [name for name in found.keys() & signed.keys() if found[name] != signed[name]]
        for name in differing:
            self.say(name, "changed", "RELEASE_NOT_SIGNED_SO")
        return bool(differing)


def _identity(wheel: bytes, version: str) -> tuple[str | None, str | None] | None:
    """Return name and version of a wheel's metadata; None where it has none that can be read."""
    archive = open_archive(io.BytesIO(wheel))
    if archive is None:
        return None
    try:
        with archive, archive.open(f"kis_estimator-{version}.dist-info/METADATA") as file:
            head = file.read(_METADATA_LIMIT).partition(b"\n\n")[0]
    except (KeyError, *ZIP_ERRORS):
        return None
    message = BytesParser().parsebytes(head, headersonly=True)
    return message["Name"], message["Version"]
