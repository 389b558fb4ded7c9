"""What an endpoint asks of its caller: `Viewer`, `Estimator` or `Admin` as the type of a parameter.

`limits.Admission` has checked the token before; an endpoint of such a type is closed to others.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer

from kis_estimator.errors import KisError
from kis_estimator.web.auth import Caller

_BEARER = Security(
    HTTPBearer(
        scheme_name="bearer",
        bearerFormat="JWT",
        auto_error=False,
        description="A token of Supabase Auth, or of `kis token` on an embedded installation.",
    )
)


async def viewer(request: Request, _scheme: Annotated[object, _BEARER]) -> Caller:
    """Return the caller. Raises AUTH_REQUIRED, or what is wrong with their token."""
    refusal: KisError | None = request.scope["state"]["refusal"]
    if refusal is not None:
        raise refusal
    caller: Caller = request.scope["state"]["caller"]
    return caller.require("viewer")


async def estimator(caller: Annotated[Caller, Depends(viewer)]) -> Caller:
    """Return a caller who may estimate. Raises ROLE_REQUIRED."""
    return caller.require("estimator")


async def admin(caller: Annotated[Caller, Depends(viewer)]) -> Caller:
    """Return a caller who may change the organisation's catalogue. Raises ROLE_REQUIRED."""
    return caller.require("admin")


Viewer = Annotated[Caller, Depends(viewer)]
Estimator = Annotated[Caller, Depends(estimator)]
Admin = Annotated[Caller, Depends(admin)]
