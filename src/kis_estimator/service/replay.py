"""Run a pack again from its own inputs, and say where the results differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kis_estimator import __version__, evidence
from kis_estimator.engine.model import Totals
from kis_estimator.errors import KisError
from kis_estimator.evidence import Difference, Pack, layout
from kis_estimator.service.engine import engine_of
from kis_estimator.service.estimate import estimate

_MONEY = ("supply", "vat", "total")
_DAMAGE = (
    ArithmeticError, AttributeError, LookupError, MemoryError, RuntimeError, TypeError, ValueError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Replay:
    """What a replay found; `totals` has (recorded, made) of each amount that differs [won]."""

    files: int
    difference: Difference | None
    recorded_version: str
    version: str
    totals: Mapping[str, tuple[int | None, int]]

    @property
    def identical(self) -> bool:
        """Return whether every file came out the same, byte by byte."""
        return self.difference is None

    def response(self) -> dict[str, Any]:
        """Return the replay as JSON."""
        return {
            "identical": self.identical,
            "files": self.files,
            "difference": self.difference,
            "engineVersion": {"recorded": self.recorded_version, "replayed": self.version},
            "totals": {
                name: {"recorded": recorded, "replayed": made}
                for name, (recorded, made) in self.totals.items()
            },
        }


def replay(pack: Pack) -> Replay:
    """Run this version on a pack's inputs, catalogue, rules and company; compare every file.

    Raises PACK_WITHOUT for a customer's pack, which has no inputs, and what the inputs have wrong;
    they may be a stranger's, made to break the run.
    """
    inputs = evidence.read_inputs(pack)
    try:
        manifest = evidence.read_manifest(pack.read(layout.MANIFEST))
    except (KeyError, ValueError) as error:
        raise KisError.of("PACK_WITHOUT", parts=[layout.MANIFEST]) from error
    try:
        run = estimate(inputs, engine_of(inputs.catalog, inputs.rules))
    except _DAMAGE as error:
        raise KisError.of("REPLAY_FAILED", reason=f"{type(error).__name__}: {error}") from error
    names = sorted(_compared(manifest.digests, run.files), key=_order)
    differences = (
        evidence.difference(name, _recorded(pack, name), run.files.get(name)) for name in names
    )
    return Replay(
        files=len(names),
        difference=next((found for found in differences if found is not None), None),
        recorded_version=str(manifest.predicate.get("engineVersion")),
        version=__version__,
        totals=_changed_totals(manifest.predicate.get("totals"), run.result.totals),
    )


def _changed_totals(recorded: object, made: Totals) -> dict[str, tuple[int | None, int]]:
    """Return recorded and new amount of each total that differs."""
    table = recorded if isinstance(recorded, dict) else {}
    pairs = {name: (table.get(name), int(getattr(made, name))) for name in _MONEY}
    return {
        name: (before if type(before) is int else None, after)
        for name, (before, after) in pairs.items()
        if before != after
    }


def _compared(recorded: Mapping[str, str], made: Mapping[str, bytes]) -> Iterator[str]:
    """Yield what both runs should hold: every deterministic file, and the manifest itself."""
    yield layout.MANIFEST
    yield from recorded.keys() | (made.keys() - layout.OUTSIDE)


def _order(name: str) -> tuple[int, str]:
    """Put causes before effects: inputs, stages, documents, then the manifest over them all."""
    top = name.partition("/")[0]
    return {"inputs": 0, "evidence": 1, layout.MANIFEST: 3}.get(top, 2), name


def _recorded(pack: Pack, name: str) -> bytes | None:
    return pack.read(name) if name in pack.digests else None
