"""Check a pack: one verdict per file, and why."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from kis_estimator.errors import KisError, Locale, Notice
from kis_estimator.evidence import envelope, layout, names
from kis_estimator.evidence.canonical import Json, read_object, sha256
from kis_estimator.evidence.chain import ChainRecord, read_record
from kis_estimator.evidence.manifest import Manifest, estimate_sha, read_manifest
from kis_estimator.evidence.pack import WHOLE, Pack

Kind = Literal["ok", "changed", "missing", "extra", "withheld", "unsafe", "unchecked"]
PROBLEMS = frozenset({"changed", "missing", "extra", "unsafe"})
"""Verdicts that fail a pack; `unchecked` is a signature for which no public key was given."""

_SMALL = 64 << 20
_SUM_LINE = re.compile(r"([0-9a-f]{64}) [ *](.+)")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found of one file, by its name in the pack."""

    name: str
    kind: Kind
    notice: Notice | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """The verdicts of a pack, and what its manifest says of the run.

    `signed_by` is the id of the given key that signed the manifest; `record` is the pack's place
    in its chain.
    """

    verdicts: tuple[Verdict, ...]
    evidence_sha: str | None = None
    predicate: Mapping[str, Json] | None = None
    signed_by: str | None = None
    record: ChainRecord | None = None

    @property
    def ok(self) -> bool:
        """Return whether nothing is wrong."""
        return not self.problems

    @property
    def problems(self) -> tuple[Verdict, ...]:
        """Return the verdicts that fail the pack."""
        return tuple(verdict for verdict in self.verdicts if verdict.kind in PROBLEMS)

    @property
    def for_customer(self) -> bool:
        """Return whether this is a customer's pack."""
        return any(verdict.kind == "withheld" for verdict in self.verdicts)

    def response(self, locale: Locale) -> dict[str, Any]:
        """Return the report as JSON."""
        predicate = self.predicate or {}
        return {
            "ok": self.ok,
            "number": predicate.get("number"),
            "revision": predicate.get("revision"),
            "evidenceSha": self.evidence_sha,
            "signedBy": self.signed_by,
            "verdicts": [verdict_response(verdict, locale) for verdict in self.verdicts],
        }


def verdict_response(verdict: Verdict, locale: Locale) -> dict[str, Any]:
    """Return a verdict as JSON."""
    fields = {"file": verdict.name, "verdict": verdict.kind}
    notice = verdict.notice
    if notice is None:
        return fields
    return {**fields, "code": notice.code, "message": notice.message(locale)}


def verify(pack: Pack, keys: Sequence[envelope.Verifier] = ()) -> Report:
    """Check every file of a pack against the manifest, the sums, the signature and the chain.

    With keys the manifest must be signed by one of them; without, signatures are `unchecked`.
    """
    return _Check(pack, keys).run()


class _Check:
    """Collects one verdict per file: the first problem said of a file stays."""

    def __init__(self, pack: Pack, keys: Sequence[envelope.Verifier]) -> None:
        self.pack = pack
        self.keys = keys
        self.verdicts: dict[str, Verdict] = {}
        self.evidence_sha = pack.digests.get(layout.MANIFEST)
        self.signed_by: str | None = None
        self.record: ChainRecord | None = None

    def say(self, name: str, kind: Kind, code: str | None = None, **params: object) -> None:
        """Keep a verdict unless one as grave is known already."""
        known = self.verdicts.get(name)
        if known is None or _gravity(kind) > _gravity(known.kind):
            self.verdicts[name] = Verdict(name, kind, Notice(code, params) if code else None)

    def run(self) -> Report:
        for problem in self.pack.problems:
            self.verdicts[problem.name] = Verdict(problem.name, "unsafe", problem.notice)
        if WHOLE in self.verdicts:
            return Report(tuple(self.verdicts.values()))
        manifest = self._manifest()
        withheld = self._withheld(manifest)
        self._files(manifest, withheld)
        self._parts(manifest)
        self._sums(manifest)
        self._estimate(manifest)
        self._signature()
        self._chain()
        return Report(
            tuple(sorted(self.verdicts.values(), key=lambda verdict: verdict.name)),
            self.evidence_sha,
            manifest.predicate if manifest else None,
            self.signed_by,
            self.record,
        )

    def _read(self, name: str) -> bytes | None:
        """Return the bytes of a small file; None, and a verdict, where it cannot be had."""
        try:
            return self.pack.read(name, _SMALL) if name in self.pack.digests else None
        except KisError:
            self.say(name, "unsafe", "PACK_BOMB")
            return None

    def _manifest(self) -> Manifest | None:
        data = self._read(layout.MANIFEST)
        if data is None:
            self.say(layout.MANIFEST, "missing", "VERIFY_NO_MANIFEST")
            return None
        try:
            manifest = read_manifest(data)
        except ValueError as error:
            self.say(layout.MANIFEST, "changed", "VERIFY_BROKEN", reason=str(error))
            return None
        self.say(layout.MANIFEST, "ok")
        return manifest

    def _withheld(self, manifest: Manifest | None) -> frozenset[str] | None:
        """Return the files that a customer's pack says it withholds; None in a whole pack."""
        data = self._read(layout.WITHHELD)
        if data is None:
            return None
        reason, withheld = _withheld_names(data, manifest, self.pack)
        if reason:
            self.say(layout.WITHHELD, "changed", "VERIFY_BROKEN", reason=reason)
        else:
            self.say(layout.WITHHELD, "ok")
        return withheld

    def _files(self, manifest: Manifest | None, withheld: frozenset[str] | None) -> None:
        listed = manifest.digests if manifest else {}
        for name, digest in listed.items():
            found = self.pack.digests.get(name)
            if found == digest:
                self.say(name, "ok")
            elif found is not None:
                self.say(name, "changed", "VERIFY_CHANGED")
            elif withheld is not None and name in withheld:
                self.say(name, "withheld")
            else:
                self.say(name, "missing", "VERIFY_MISSING")
        for name in self.pack.digests.keys() - listed.keys():
            known = name in layout.OUTSIDE or manifest is None
            if known:
                self.say(name, "ok")
            else:
                self.say(name, "extra", "VERIFY_EXTRA")
        wanted = {layout.ESTIMATE, layout.RUN} if withheld is None else set()
        for name in wanted - self.pack.digests.keys():
            self.say(name, "missing", "VERIFY_MISSING")

    def _parts(self, manifest: Manifest | None) -> None:
        """Check that the manifest lists every part of a pack; it lists withheld files as well."""
        for part in layout.missing_parts(manifest.digests) if manifest else ():
            self.say(part, "missing", "VERIFY_MISSING")

    def _sums(self, manifest: Manifest | None) -> None:
        """Check that SHA256SUMS lists every file: as the manifest does, else as the file is."""
        data = self._read(layout.SUMS)
        if data is None:
            self.say(layout.SUMS, "missing", "VERIFY_MISSING")
            return
        try:
            sums = dict(sum_lines(data))
        except ValueError as error:
            self.say(layout.SUMS, "changed", "VERIFY_BROKEN", reason=str(error))
            return
        listed = manifest.digests if manifest else {}
        found = {name: sha for name, sha in self.pack.digests.items() if name != layout.SUMS}
        wrong = {name for name, sha in found.items() if sums.get(name) != listed.get(name, sha)}
        unlisted = wrong - sums.keys()
        wrong -= {name for name in unlisted if self.verdicts[name].kind in PROBLEMS}
        for name in wrong - listed.keys():
            self.say(name, "changed", "VERIFY_SUM")
        for name in sums.keys() - found.keys():
            if name not in listed:
                self.say(name, "missing", "VERIFY_MISSING")
            elif sums[name] != listed[name]:
                wrong.add(name)
        if wrong:
            self.say(layout.SUMS, "changed", "VERIFY_SUMS_DIFFER", files=sorted(wrong))

    def _estimate(self, manifest: Manifest | None) -> None:
        """Hold estimate.json against the hash that the manifest has of it."""
        data = self._read(layout.ESTIMATE)
        if data is None:
            return
        try:
            estimate = json.loads(data)
            stated, made = estimate["evidenceSha"], estimate_sha(estimate)
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            self.say(layout.ESTIMATE, "changed", "VERIFY_BROKEN", reason=str(error))
            return
        if stated != self.evidence_sha:
            self.say(layout.ESTIMATE, "changed", "VERIFY_OTHER_MANIFEST")
        elif manifest is not None and made != manifest.predicate.get("estimateSha"):
            self.say(layout.ESTIMATE, "changed", "VERIFY_ESTIMATE")

    def _signature(self) -> None:
        name = layout.SIGNATURE
        data = self._read(name)
        if data is None:
            if self.keys:
                self.say(name, "missing", "VERIFY_UNSIGNED")
            return
        try:
            payload, sealed = envelope.open_envelope(data, envelope.STATEMENT)
        except ValueError as error:
            self.say(name, "changed", "VERIFY_BROKEN", reason=str(error))
            return
        self.signed_by = self._judge(name, sealed)
        if sha256(payload) != self.evidence_sha:
            self.say(name, "changed", "VERIFY_OTHER_MANIFEST")
            if self.signed_by:
                self.say(layout.MANIFEST, "changed", "VERIFY_NOT_SIGNED_SO")
            self.signed_by = None

    def _chain(self) -> None:
        name = layout.CHAIN
        data = self._read(name)
        if data is None:
            return
        try:
            self.record, sealed = read_record(data)
        except ValueError as error:
            self.say(name, "changed", "VERIFY_BROKEN", reason=str(error))
            return
        self._judge(name, sealed)
        if self.record.evidence_sha != self.evidence_sha:
            self.say(name, "changed", "VERIFY_OTHER_MANIFEST")

    def _judge(self, name: str, sealed: Json) -> str | None:
        """Say who signed an envelope and return the key's id."""
        signed_by = envelope.signed_by(sealed, self.keys)
        if signed_by is None and self.keys:
            self.say(name, "changed", "VERIFY_SIGNATURE")
        elif signed_by is None:
            self.say(name, "unchecked", "VERIFY_UNCHECKED")
        return signed_by


def _withheld_names(
    data: bytes, manifest: Manifest | None, pack: Pack
) -> tuple[str | None, frozenset[str]]:
    """Return what is wrong with `withheld.json`, and the files it may say are withheld."""
    try:
        table = read_object(data, {"evidenceSha": (str,), "withheld": (list,)})
    except ValueError as error:
        return str(error), frozenset()
    if table["evidenceSha"] != pack.digests.get(layout.MANIFEST):
        return "evidenceSha", frozenset()
    listed = manifest.digests if manifest else {}
    withheld = frozenset(
        name
        for name in table["withheld"]
        if isinstance(name, str) and name in listed and not layout.for_customers(name)
    )
    right = len(withheld) == len(table["withheld"]) > 0 and withheld.isdisjoint(pack.digests)
    return None if right else "withheld", withheld


def _gravity(kind: Kind) -> int:
    return 2 if kind in PROBLEMS else int(kind != "ok")


def sum_lines(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield (name, SHA-256) of each line. Raises ValueError."""
    seen: set[str] = set()
    *lines, end = data.decode("utf-8").split("\n")
    for number, line in enumerate(lines, start=1):
        match = _SUM_LINE.fullmatch(line)
        if match is None or match[2] in seen or not names.is_safe(match[2]):
            raise ValueError(f"line {number}")
        seen.add(match[2])
        yield match[2], match[1]
    if end:
        raise ValueError("no line break at the end")
