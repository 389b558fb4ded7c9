"""Cut a release: refuse, build, run the gates, freeze, sign, tag; or say what blocks it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from kis_estimator.errors import KisError, Notice
from kis_estimator.evidence import envelope, pretty, sha256
from kis_estimator.evidence.canonical import sums_text
from kis_estimator.release import names
from kis_estimator.release.checkout import Checkout
from kis_estimator.release.definition import Definition
from kis_estimator.release.gates import Watch, run_gates
from kis_estimator.release.locks import pins
from kis_estimator.release.refusals import refusals
from kis_estimator.release.report import Facts, report
from kis_estimator.release.results import AreaResult, read_results
from kis_estimator.release.sbom import sbom
from kis_estimator.release.scans import scans
from kis_estimator.release.statement import statement
from kis_estimator.release.wheel import build_wheel

if TYPE_CHECKING:
    from kis_estimator.evidence.keys import SigningKey


@dataclass(frozen=True, slots=True)
class Program:
    """What the running program gives to a cut: its contract, and what a release has to show."""

    contract: bytes
    definition: Definition


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where a release, or the report on why there is none, was written, and what its areas showed.

    `tag` is None where the release is blocked; `key_id` is that of the key that signs.
    """

    folder: Path
    tag: str | None
    key_id: str
    results: tuple[AreaResult, ...]


def cut(
    checkout: Checkout,
    version: str,
    output: Path,
    program: Program,
    key: Path | None,
    watch: Watch,
) -> Outcome:
    """Cut the release of a version into `output/vX.Y.Z` and tag it, or write what blocks it.

    Raises every reason that is known before the gates run at once, then RELEASE_WHEEL,
    RELEASE_GATE, RELEASE_MOVED, RELEASE_GIT. Folder and tag are made together or not at all.
    """
    output, definition = output.resolve(), program.definition
    found = list(refusals(checkout, version, output, program.contract, definition.files))
    signer = _signer(key, found)
    if found or signer is None:
        raise KisError(*found)
    key_id = signer.public.key_id
    commit = checkout.commit()
    facts = Facts(
        version=version,
        commit=commit,
        openapi_sha256=sha256(program.contract),
        created_at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
    )
    output.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=output, prefix=".cut-") as work:
        source, release = Path(work) / "source", Path(work) / "release"
        (release / names.REPORTS).mkdir(parents=True)
        with watch("RELEASE_STEP_files"):
            checkout.export(commit, source)
            _fill(release, source, facts, checkout.committed_at(commit), definition)
        codes = run_gates(checkout.root, release, watch)
        if checkout.commit() != commit or checkout.changes(output):
            raise KisError.of("RELEASE_MOVED", commit=commit)
        results = read_results(release, definition, codes, scans(source, definition.secrets))
        if any(result.state != "passed" for result in results):
            folder = _blocked(release, facts, results, definition, output)
            return Outcome(folder, None, key_id, results)
        sums_sha = _freeze(release, facts, results, definition, signer)
        folder, tag = output / f"v{version}", names.tag_of(version)
        release.rename(folder)
    try:
        checkout.tag(tag, commit, f"Release v{version}\n\nSHA-256 of {names.SUMS}: {sums_sha}\n")
    except BaseException:
        shutil.rmtree(folder)
        raise
    shutil.rmtree(_blocked_folder(output, facts), ignore_errors=True)
    return Outcome(folder, tag, key_id, results)


def _signer(key: Path | None, found: list[Notice]) -> SigningKey | None:
    """Return the key that signs; None, and what was found, where there is none to use."""
    from kis_estimator.evidence.keys import load_signing_key  # noqa: PLC0415 - slow to load

    if key is None:
        found.append(Notice("RELEASE_UNSIGNED"))
        return None
    try:
        return load_signing_key(key.expanduser())
    except KisError as error:
        found += error.notices
        return None


def _fill(
    release: Path, source: Path, facts: Facts, committed_at: int, definition: Definition
) -> None:
    """Put in everything but the reports, all of it from the commit."""
    for name, path in definition.files.items():
        (release / name).parent.mkdir(parents=True, exist_ok=True)
        if (source / path).is_dir():
            shutil.copytree(source / path, release / name)
        else:
            shutil.copy(source / path, release / name)
    wheel = build_wheel(source, release, facts.version, committed_at)
    lock = pins((source / names.LOCK).read_text(encoding="utf-8"))
    materials = sbom(facts.version, sha256(wheel.read_bytes()), facts.created_at, lock)
    (release / names.SBOM).write_bytes(pretty(materials))
    (release / names.FACTS).write_bytes(pretty(facts.json))


def _blocked_folder(output: Path, facts: Facts) -> Path:
    return output / f"v{facts.version}.blocked"


def _blocked(
    release: Path,
    facts: Facts,
    results: Sequence[AreaResult],
    definition: Definition,
    output: Path,
) -> Path:
    """Keep the reports alone, and the report on them, of a release that is none."""
    folder = _blocked_folder(output, facts)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    text = report(facts, results, definition.budgets, release, {})
    (folder / names.REPORT).write_text(text, encoding="utf-8")
    (release / names.REPORTS).rename(folder / names.REPORTS)
    return folder


def _freeze(
    release: Path,
    facts: Facts,
    results: Sequence[AreaResult],
    definition: Definition,
    signer: envelope.Signer,
) -> str:
    """Write the report, the checksums and the signature; return the SHA-256 of the checksums."""
    text = report(facts, results, definition.budgets, release, _digests(release))
    (release / names.REPORT).write_text(text, encoding="utf-8")
    digests = _digests(release)
    sums = sums_text(digests)
    sealed = statement(digests, sha256(sums), facts.json)
    (release / names.SUMS).write_bytes(sums)
    (release / names.SIGNATURE).write_bytes(envelope.seal(sealed, envelope.STATEMENT, signer))
    return sha256(sums)


def _digests(release: Path) -> dict[str, str]:
    return {
        path.relative_to(release).as_posix(): sha256(path.read_bytes())
        for path in release.rglob("*")
        if path.is_file()
    }
