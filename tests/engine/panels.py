"""Short ways to write panels, and the engine's own catalogue and rules."""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from kis_estimator.engine import pipeline
from kis_estimator.engine.catalog import FILES, Catalog, parse_catalog
from kis_estimator.engine.model import (
    AccessorySpec,
    BreakerSpec,
    Customer,
    EngineResult,
    EstimateRequest,
    PanelResult,
    PanelSpec,
    PricingTerms,
)
from kis_estimator.engine.rules import Rules, parse_rules

DATA = files("kis_estimator") / "data"


def catalog_files() -> dict[str, bytes]:
    return {name: (DATA / "catalog" / name).read_bytes() for name in FILES}


def rule_bytes() -> bytes:
    return (DATA / "rules" / "kr-panel.toml").read_bytes()


@cache
def catalog() -> Catalog:
    return parse_catalog(catalog_files())


@cache
def rules() -> Rules:
    return parse_rules(rule_bytes())


def row(text: str, quantity: int = 1, **fields: Any) -> BreakerSpec:
    """`MCCB 2P 20` or `main ELB 4P 100/75`: role?, kind, poles, frame/rating."""
    *role, kind, poles, rating = text.split()
    frame, _, at = rating.rpartition("/")
    category: Literal["MCCB", "ELB"] = "ELB" if kind == "ELB" else "MCCB"
    return BreakerSpec(
        role="main" if role else "branch",
        category=category,
        poles=int(poles.removesuffix("P")),
        frame_af=int(frame) if frame else None,
        rated_current_a=int(at),
        quantity=quantity,
        **fields,
    )


def panel(
    *rows: BreakerSpec, name: str = "LP-1", accessories: str = "", **fields: Any
) -> PanelSpec:
    """`accessories` is like `MC-9*2 TIMER-24H`."""
    asked = []
    for part in accessories.split():
        sku, _, count = part.partition("*")
        asked.append(AccessorySpec(sku=sku, quantity=int(count or 1)))
    return PanelSpec(name=name, breakers=rows, accessories=tuple(asked), **fields)


def request(*panels: PanelSpec, **fields: Any) -> EstimateRequest:
    return EstimateRequest(customer=Customer(name="○○전기"), panels=panels, **fields)


def run(*panels: PanelSpec, accept_proposed_main: bool = False, **pricing: Any) -> EngineResult:
    exact: Any = {k: Decimal(v) if k.endswith("pct") else v for k, v in pricing.items()}
    terms = PricingTerms(**exact)
    asked = request(*panels, pricing=terms)
    return pipeline.run(asked, catalog(), rules(), accept_proposed_main=accept_proposed_main)


def design(spec: PanelSpec) -> PanelResult:
    return run(spec).panels[0]


def codes(result: PanelResult) -> list[str]:
    return [finding.code for finding in result.findings]
