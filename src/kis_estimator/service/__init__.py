"""Use cases: read a schedule, estimate it, check and write a run. Entry points call these."""

from kis_estimator.service.clock import today
from kis_estimator.service.engine import Engine, engine_of, load_engine
from kis_estimator.service.estimate import Estimate, estimate
from kis_estimator.service.folder import make_and_write, next_number, write
from kis_estimator.service.reading import (
    MAX_INPUT,
    noticed,
    read,
    unreadable,
    validate,
    validation_response,
)
from kis_estimator.service.stages import Outcome, lint_folder

__all__ = [
    "MAX_INPUT",
    "Engine",
    "Estimate",
    "Outcome",
    "engine_of",
    "estimate",
    "lint_folder",
    "load_engine",
    "make_and_write",
    "next_number",
    "noticed",
    "read",
    "today",
    "unreadable",
    "validate",
    "validation_response",
    "write",
]
