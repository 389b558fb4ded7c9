"""A release: cut from a checkout after its gates ran, frozen with its evidence, verified again.

`cut` and `verify` are the two use cases; what each stands on is one module.
"""

from kis_estimator.release.checkout import Checkout
from kis_estimator.release.cut import Outcome, Program, cut
from kis_estimator.release.results import AreaResult, Check, State, Tally
from kis_estimator.release.verify import verify

__all__ = [
    "AreaResult",
    "Check",
    "Checkout",
    "Outcome",
    "Program",
    "State",
    "Tally",
    "cut",
    "verify",
]
