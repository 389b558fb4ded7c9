"""`python -m kis_estimator.cli`."""

from kis_estimator.cli import main

main()
