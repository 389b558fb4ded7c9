"""Releases for tests, made in a moment: this checkout as a wheel of another version.

    folder = release(tmp_path / "v1.1.0", "1.1.0")
    broken = release(tmp_path / "v1.2.0", "1.2.0", spoil="failing_readyz")
    newer = release(tmp_path / "v1.3.0", "1.3.0", migrations={"20270101000000_more.sql": "…"})

`release` returns the folder with what a host needs: the wheel, `requirements.lock` (empty: the
wheel's `dependencies.pth` names the packages of the running tests, nothing is downloaded),
`openapi.yaml` of the code, `release.json` and `SHA256SUMS`. What can be spoilt:

- `broken_start`: `kis serve` ends with an error, while every other command works
- `failing_readyz`: `/readyz` answers 503
- `errors`: every request below /v1/ is answered with 500, and counted
- `slow`: each request below /v1/ takes 0.7 s longer, and is counted
- `other_version`: the program says that it is another version than its wheel
"""

from __future__ import annotations

import base64
import hashlib
import json
import sysconfig
import zipfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Literal

from kis_estimator import __version__
from kis_estimator.web.app import routed
from kis_estimator.web.openapi import openapi_yaml

Spoil = Literal["broken_start", "failing_readyz", "errors", "slow", "other_version"]

ROOT = Path(__file__).resolve().parents[2]
_COMMIT = "0" * 40
_LAYER = """

class _Spoilt:
    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope.get("path", "").startswith("/v1/"):
            {act}
        await self._app(scope, receive, send)


_whole_app = create_app


def create_app(*args: Any, **kwargs: Any) -> FastAPI:
    app = _whole_app(*args, **kwargs)
    app.user_middleware.append(__import__("starlette.middleware").middleware.Middleware(_Spoilt))
    return app
"""
_SLOW = 'await __import__("asyncio").sleep(0.7)'
_ERRORS = 'return await __import__("starlette.responses").responses.Response(\
status_code=500)(scope, receive, send)'


def release(
    folder: Path,
    version: str,
    *,
    spoil: Spoil | None = None,
    migrations: Mapping[str, str] | None = None,
) -> Path:
    """Write a release into a new folder."""
    folder.mkdir(parents=True)
    contract = openapi_yaml(routed()).replace(
        f"version: {__version__}\n".encode(), f"version: {version}\n".encode(), 1
    )
    stamp = {
        "version": version,
        "tag": f"v{version}-estimator",
        "commit": _COMMIT,
        "openapiSha256": hashlib.sha256(contract).hexdigest(),
        "createdAt": "2026-11-30T00:00:00Z",
    }
    (folder / "openapi.yaml").write_bytes(contract)
    (folder / "requirements.lock").write_text("# nothing to install\n", encoding="utf-8")
    (folder / "release.json").write_text(json.dumps(stamp), encoding="utf-8")
    _write_wheel(folder, version, spoil, migrations or {})
    write_sums(folder)
    return folder


def write_sums(folder: Path) -> None:
    """Write SHA256SUMS over every other file of a folder, as after an honest change."""
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder)}\n"
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "SHA256SUMS"
    ]
    (folder / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")


def _write_wheel(
    folder: Path, version: str, spoil: Spoil | None, migrations: Mapping[str, str]
) -> None:
    about = f"kis_estimator-{version}.dist-info"
    program = {**_program()}
    _substitute(program, "kis_estimator/__init__.py", f'"{__version__}"', lambda _: f'"{version}"')
    if spoil is not None:
        _SPOILERS[spoil](program)
    program |= {f"kis_estimator/migrations/{n}": t.encode() for n, t in migrations.items()}
    program |= {
        "dependencies.pth": f"{sysconfig.get_path('purelib')}\n".encode(),
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: kis-estimator\nVersion: {version}\n"
        "Requires-Python: >=3.11\n".encode(),
        f"{about}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\n"
        b"Tag: py3-none-any\n",
        f"{about}/entry_points.txt": b"[console_scripts]\nkis = kis_estimator.cli:main\n",
    }
    record = "".join(f"{name},{_digest(data)},{len(data)}\n" for name, data in program.items())
    program[f"{about}/RECORD"] = f"{record}{about}/RECORD,,\n".encode()
    wheel = folder / f"kis_estimator-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, data in program.items():
            archive.writestr(name, data)


@cache
def _program() -> dict[str, bytes]:
    """Return the packages of the checkout, and the schema where a wheel has it."""
    files = {}
    for package in ("kis_estimator", "kis_deploy"):
        for path in sorted((ROOT / "src" / package).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                files[path.relative_to(ROOT / "src").as_posix()] = path.read_bytes()
    for path in sorted((ROOT / "supabase/migrations").glob("*.sql")):
        files[f"kis_estimator/migrations/{path.name}"] = path.read_bytes()
    return files


def _digest(data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest())
    return "sha256=" + digest.rstrip(b"=").decode()


def _substitute(program: dict[str, bytes], file: str, old: str, new: Callable[[str], str]) -> None:
    text = program[file].decode()
    assert text.count(old) == 1, f"{file} has changed: {old!r}"
    program[file] = text.replace(old, new(old)).encode()


def _add_layer(program: dict[str, bytes], act: str) -> None:
    program["kis_estimator/web/app.py"] += _LAYER.format(act=act).encode()


_SPOILERS: dict[Spoil, Callable[[dict[str, bytes]], None]] = {
    "broken_start": lambda program: _substitute(
        program,
        "kis_estimator/cli/serve.py",
        "    tell = _teller(locale)\n",
        lambda old: old + '    raise SystemExit("this release cannot start")\n',
    ),
    "failing_readyz": lambda program: _substitute(
        program,
        "kis_estimator/web/api/health.py",
        'status: Part = "ok" if (db, storage) == ("ok", "ok") else "unavailable"',
        lambda _: 'status: Part = "unavailable"',
    ),
    "errors": lambda program: _add_layer(program, _ERRORS),
    "slow": lambda program: _add_layer(program, _SLOW),
    "other_version": lambda program: program.update(
        {"kis_estimator/__init__.py": b'__version__ = "0.0.1"\n'}
    ),
}
