"""Seal the files of a run: manifest, its hash, its signature, its place in the chain."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kis_estimator.evidence import envelope, layout
from kis_estimator.evidence.canonical import checksums, sha256
from kis_estimator.evidence.chain import ChainRecord, next_record, sign_record
from kis_estimator.evidence.manifest import PackFacts, manifest_of, read_manifest


@dataclass(frozen=True, slots=True)
class SealedPack:
    """What sealing adds to a pack."""

    manifest: bytes
    signature: bytes | None

    @property
    def evidence_sha(self) -> str:
        """Return the SHA-256 of the manifest."""
        return sha256(self.manifest)

    @property
    def files(self) -> dict[str, bytes]:
        """Return manifest and signature by their names in the pack."""
        files = {layout.MANIFEST: self.manifest}
        if self.signature is not None:
            files[layout.SIGNATURE] = self.signature
        return files


def seal_pack(
    files: Mapping[str, bytes], facts: PackFacts, signer: envelope.Signer | None = None
) -> SealedPack:
    """Seal every deterministic file of a run; the same files and facts give the same bytes."""
    manifest = manifest_of(files, facts)
    signature = None if signer is None else envelope.seal(manifest, envelope.STATEMENT, signer)
    return SealedPack(manifest, signature)


def link_pack(
    files: Mapping[str, bytes], previous: ChainRecord | None, signer: envelope.Signer
) -> tuple[dict[str, bytes], ChainRecord]:
    """Return the files of a sealed pack with its signed record, and the record."""
    manifest = files[layout.MANIFEST]
    said = read_manifest(manifest).predicate
    record = next_record(sha256(manifest), said["number"], said["revision"], previous)
    return with_sums({**files, layout.CHAIN: sign_record(record, signer)}), record


def with_sums(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files with SHA256SUMS over all of them, made anew."""
    rest = {name: data for name, data in files.items() if name != layout.SUMS}
    return {**rest, layout.SUMS: checksums(rest)}
