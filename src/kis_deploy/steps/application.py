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
    """Serve an installed version, with the present variables, on these hosts, or all.

    `back` says that what serves is left for good. Where one host cannot start it nothing is
    switched. Raises DeployError.
    """
    config = run.config
    request = {
        "environment": config.application(),
        **run.listening,
        "workers": int(config["DEPLOY_WORKERS"]),
    }
    run.progress(f"v{version} starts with the present variables")
    _replace(run, version, request, hosts, back=back)


def restore_served(run: Run, host: Host) -> None:
    """Serve on a host what served there before this run: version, variables and files of then.

    Raises DeployError.
    """
    served = run.before.get(host.name)
    if served is None:
        raise DeployError.of(host.name, "served nothing before", "Mend what serves, or stop it")
    version = str(served["version"])
    run.progress(f"{host.name}: v{version} starts with the variables that it had")
    listening = {"proxy_port": served["proxy_port"], "bind": served["bind"]}
    _replace(run, version, {"served": served, **listening}, (host,), back=True)
    run.told(f"{host.name}: v{version} serves again, with the variables that it had")


def _replace(
    run: Run, version: str, request: dict[str, Any], hosts: Sequence[Host], *, back: bool
) -> None:
    """Start what a request says, switch to it, end what served before."""
    settle(run, hosts)
    began = time.monotonic()
    try:
        started = run.each_host(
            lambda host: run.call(host, "start", version=version, **request), hosts
        )
    except DeployError:
        settle(run, hosts)
        raise
    run.told(f"v{version} is ready beside what serves")
    listening = {name: request[name] for name in ("proxy_port", "bind")}

    def switch(host: Host) -> None:
        run.switched.append(host.name)  # before: a switch that breaks off is taken back, too
        of = {name: started[host.name][name] for name in ("colour", "port")}
        run.call(host, "switch", back=back, **of, **listening)

    run.each_host(switch, hosts)
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


def _drain(run: Run, host: Host, serving: str) -> None:
    run.call(host, "drain", colour="green" if serving == "blue" else "blue")
