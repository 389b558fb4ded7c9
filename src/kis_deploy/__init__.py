"""Deployment of KIS Estimator: standard library only, so that it works where nothing is installed.

`./DEPLOYMENT_SCRIPT.sh --help` in a checkout; `kis ops` uses the watching of an installed one.
"""
