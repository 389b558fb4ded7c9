"""Use cases: read a schedule, estimate it, write the folder of a run. Entry points call these."""

from kis_estimator.service.engine import Engine, load_engine
from kis_estimator.service.estimate import Estimate, Options, estimate
from kis_estimator.service.folder import next_number, today, write
from kis_estimator.service.reading import (
    MAX_INPUT,
    noticed,
    read,
    unreadable,
    validate,
    validation_response,
)

__all__ = [
    "MAX_INPUT",
    "Engine",
    "Estimate",
    "Options",
    "estimate",
    "load_engine",
    "next_number",
    "noticed",
    "read",
    "today",
    "unreadable",
    "validate",
    "validation_response",
    "write",
]
