"""The application: routes, layers and error handlers put together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from anyio import to_thread
from fastapi import Depends, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.body_limit import RequestBodyLimitMiddleware

from kis_estimator import __version__
from kis_estimator.errors import KisError
from kis_estimator.settings import Settings
from kis_estimator.web import contract, openapi, pages, tracing
from kis_estimator.web.api import catalog, documents, estimates, evidence, health, schedules
from kis_estimator.web.errors import (
    JSON_LIMIT,
    on_http_error,
    on_invalid_request,
    on_kis_error,
)
from kis_estimator.web.limits import (
    REQUEST_SEC,
    THREADS,
    Admission,
    require_media_type,
    require_single_values,
)
from kis_estimator.web.middleware import Observed
from kis_estimator.web.services import Services

_ROUTERS = (
    estimates.router,
    schedules.router,
    documents.router,
    evidence.router,
    catalog.router,
    health.router,
    openapi.router,
    pages.router,
)


def create_app(
    settings: Settings, services: Services, *, timeout_sec: float = REQUEST_SEC
) -> FastAPI:
    """Return the API over these services. An answer must begin within `timeout_sec`."""
    if settings.otlp_endpoint:
        tracing.start_tracing(settings.otlp_endpoint)
    app = routed(
        exception_handlers={
            KisError: on_kis_error,
            HTTPException: on_http_error,
            RequestValidationError: on_invalid_request,
        },
        middleware=[
            Middleware(Observed, hsts=settings.production),
            Middleware(RequestBodyLimitMiddleware, max_body_size=JSON_LIMIT),
            Middleware(
                Admission,
                authenticator=services.authenticator,
                rps=settings.rate_limit_rps,
                timeout_sec=timeout_sec,
            ),
        ],
        lifespan=_lifespan,
        telemetry=tracing.request_telemetry(),
    )
    app.state.services = services
    app.state.prober = health.Prober()
    return app


def routed(**layers: Any) -> FastAPI:  # noqa: ANN401 - the framework's own parameters
    """Return the routes in layers of the framework; the contract needs none."""
    app = openapi.Described(
        title="KIS Estimator",
        summary="From a breaker schedule to a designed, priced electrical panel",
        description=contract.DESCRIPTION,
        version=__version__,
        license_info={"name": "MIT", "identifier": "MIT"},
        servers=contract.SERVERS,
        openapi_tags=contract.TAGS,
        openapi_url=None,  # /openapi and /docs are ours: YAML, and no script from elsewhere
        redirect_slashes=False,
        dependencies=[Depends(require_media_type), Depends(require_single_values)],
        generate_unique_id_function=lambda route: route.name,
        **layers,
    )
    for router in _ROUTERS:
        app.include_router(router)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Make the contract before the first request, and run the hooks as long as requests."""
    openapi.openapi_yaml(app)
    to_thread.current_default_thread_limiter().total_tokens = THREADS
    services: Services = app.state.services
    async with AsyncExitStack() as stack:
        stack.callback(tracing.stop_tracing)
        for hook in services.hooks:
            await stack.enter_async_context(hook())
        yield
