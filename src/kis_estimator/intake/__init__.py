"""Schedules of any form -> panels: `read` is the whole interface, `Vocabulary` what it needs.

`parse_request` alone (JSON) is in `intake.request`: importing it loads pydantic.
"""

from kis_estimator.intake.canonical import dump_panel, dump_request
from kis_estimator.intake.reading import Reading, read
from kis_estimator.intake.vocabulary import Vocabulary

__all__ = ["Reading", "Vocabulary", "dump_panel", "dump_request", "read"]
