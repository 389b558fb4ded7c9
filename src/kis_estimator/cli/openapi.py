"""`kis openapi`: the contract as a file."""

from __future__ import annotations

import sys
from typing import Annotated

import typer


def openapi(
    sha256: Annotated[
        bool, typer.Option("--sha256", help="해시만 출력 / print its SHA-256 alone")
    ] = False,
) -> None:
    """API 계약을 YAML로 출력합니다. Print the contract of the API as OpenAPI 3.1 in YAML."""
    from kis_estimator.web.app import routed
    from kis_estimator.web.openapi import openapi_sha256, openapi_yaml

    app = routed()
    if sha256:
        typer.echo(openapi_sha256(app))
    else:
        sys.stdout.buffer.write(openapi_yaml(app))
