"""Step 6 and rollback: the new colour beside the old one, the switch, the old one's end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from kis_deploy.hosts import Host
from kis_deploy.problems import DeployError
from kis_deploy.run import Run
from kis_deploy.steps.schema import install

_KEEP_HOURS = 24


def deploy(run: Run) -> None:
    """Step 6: serve the release on every host."""
    run.statuses()
    install(run)
    serve(run, run.deployed().version)
    run.told("Application deployed successfully")


def serve(run: Run, version: str, hosts: Sequence[Host] = (), *, back: bool = False) -> None:
    """Start an installed version on the hosts (or all), switch to it, end what served before.

    `back` says that what serves is left for good. Where one host cannot start it nothing is
    switched. Raises DeployError.
    """
    settle(run, hosts)
    began = time.monotonic()
    try:
        started = run.each_host(lambda host: _start(run, host, version), hosts)
    except DeployError:
        settle(run, hosts)
        raise
    run.told(f"v{version} is ready beside what serves")
    run.each_host(lambda host: _switch(run, host, started[host.name], back=back), hosts)
    run.told(f"The proxy leads to v{version}")
    run.report.figures["Application seconds"] = round(time.monotonic() - began, 3)
    run.each_host(lambda host: _drain(run, host, started[host.name]["colour"]), hosts)


def settle(run: Run, hosts: Sequence[Host] = ()) -> None:
    """Clean up what a run that broke off began; what serves is not touched. Raises DeployError."""
    for name, done in run.each_host(lambda host: run.call(host, "settle"), hosts).items():
        for text in done["cleaned"]:
            run.progress(f"{name}: cleaned up: {text}")


def prune(run: Run) -> None:
    """Remove releases that nobody goes back to, on the hosts and among the tools here."""
    run.each_host(lambda host: run.call(host, "prune", keep_hours=_KEEP_HOURS))
    host, root = run.tools()
    if root != run.config["DEPLOY_ROOT"]:
        left = [version for status in run.statuses().values() for version in status["releases"]]
        run.call(host, "prune", keep_hours=_KEEP_HOURS, keep=left, root=root)


def _start(run: Run, host: Host, version: str) -> dict[str, Any]:
    config = run.config
    ready_sec = int(config["DEPLOY_READY_SEC"])
    return run.call(
        host,
        "start",
        ready_sec + 60.0,
        version=version,
        environment=config.application(),
        ports=[int(port) for port in config["DEPLOY_PORTS"].split(",")],
        proxy_port=int(config["APP_PORT"]),
        bind=config["DEPLOY_BIND"],
        workers=int(config["DEPLOY_WORKERS"]),
        ready_sec=ready_sec,
    )


def _switch(run: Run, host: Host, started: dict[str, Any], *, back: bool) -> None:
    run.switched.append(host.name)  # before: a switch that breaks off is taken back, too
    run.call(host, "switch", colour=started["colour"], port=started["port"], back=back)


def _drain(run: Run, host: Host, serving: str) -> None:
    run.call(host, "drain", colour="green" if serving == "blue" else "blue")
