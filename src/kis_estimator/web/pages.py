"""The pages for people: what runs here, and the documentation of the API. All from this package."""

from __future__ import annotations

from html import escape
from importlib.resources import files
from string import Template

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles

from kis_estimator import __version__
from kis_estimator.errors import say
from kis_estimator.web.errors import caller_locale

_TEXTS = (
    "title", "lead", "docs", "contract", "health", "ready", "metrics", "token", "version",
)  # fmt: skip
router = APIRouter(include_in_schema=False)
_STATIC = StaticFiles(packages=[("kis_estimator.web", "static")])


@router.get("/")
async def index(request: Request) -> HTMLResponse:
    """Say what runs here and where to go."""
    return _page(request, "index.html")


@router.get("/docs")
async def docs(request: Request) -> HTMLResponse:
    """Show the contract, with requests to try."""
    return _page(request, "docs.html")


@router.get("/static/{path:path}")
async def static(path: str, request: Request) -> Response:
    """Return a style, script or icon; a route rather than a mount has a template for metrics.

    Whole: what the framework says of a wrong range is not of our one shape.
    """
    headers = request.scope["headers"]
    request.scope["headers"] = [(name, value) for name, value in headers if name != b"range"]
    return await _STATIC.get_response(path, request.scope)


def _page(request: Request, name: str) -> HTMLResponse:
    locale = caller_locale(request.scope)
    template = files("kis_estimator.web") / "templates" / name
    texts = {key: escape(say(f"PAGE_{key}", locale, version=__version__)) for key in _TEXTS}
    page = Template(template.read_text(encoding="utf-8"))
    return HTMLResponse(
        page.substitute(texts, language=locale),
        headers={"content-language": locale, "vary": "Accept-Language"},
    )
