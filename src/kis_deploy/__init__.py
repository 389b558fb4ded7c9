"""Deployment of KIS Estimator: standard library only, so that it works where nothing is installed.

`python3 -m kis_deploy --help`, or `./DEPLOYMENT_SCRIPT.sh --help` in a checkout.
"""
