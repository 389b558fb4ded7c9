"""KIS Estimator: from a breaker schedule to a designed, priced panel."""

__version__ = "2.1.0"
