"""The bucket of a project: made or checked, closed to strangers, marked with its environment."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from kis_deploy.config import Config
from kis_deploy.problems import DeployError, Problem
from kis_deploy.runner import Redactor, Runner
from kis_deploy.web import OK, Answer, Web

MARKER = "deployment/environment.json"
SIZE_LIMIT = 50 * 2**20
TYPES = (
    "application/json",
    "application/pdf",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/zip",
    "image/svg+xml",
    "image/vnd.dxf",
)
_NOT_FOUND, _FORBIDDEN, _TOO_LARGE = 404, frozenset({401, 403}), frozenset({413, 422})
_WANTED = {"public": False, "file_size_limit": SIZE_LIMIT, "allowed_mime_types": TYPES}
_BY_HAND = (
    f"Set it in the dashboard (Storage): private, {SIZE_LIMIT >> 20} MiB a file, the media types "
    + ", ".join(TYPES)
)
_SERVICE_KEY, _PUBLIC_KEY = "SUPABASE_SERVICE_ROLE_KEY", "SUPABASE_ANON_KEY"


def key_headers(config: Config, name: str) -> dict[str, str]:
    """Return the headers of one of the project's keys; a new one (`sb_…`) is no token."""
    key = config[name]
    return {"apikey": key} | ({} if key.startswith("sb_") else {"authorization": f"Bearer {key}"})


class Bucket:
    """The bucket that the settings name, for one of the project's keys; told to a step's log."""

    def __init__(
        self, config: Config, key: str = _SERVICE_KEY, runner: Runner | None = None
    ) -> None:
        self.name = config["STORAGE_BUCKET"]
        self._web = Web(
            f"{config['SUPABASE_URL'].rstrip('/')}/storage/v1",
            key_headers(config, key),
            note=(runner or Runner(Redactor(config.secrets))).note,
        )

    def close(self) -> None:
        """End the connection."""
        self._web.close()

    def settings(self) -> Answer:
        """Ask for the bucket's own settings."""
        return self._web.ask("GET", f"/bucket/{self.name}")

    def make(self) -> Answer:
        """Make it: private, with the limits of this release."""
        return self._web.ask("POST", "/bucket", send={"id": self.name, "name": self.name} | _WANTED)

    def update(self) -> Answer:
        """Bring it to what `make` makes."""
        return self._web.ask("PUT", f"/bucket/{self.name}", send=_WANTED)

    def upload(self, key: str, data: bytes) -> Answer:
        """Write a new JSON object."""
        headers = {"content-type": "application/json", "x-upsert": "false"}
        return self._web.ask("POST", self._object(key), data=data, headers=headers)

    def read(self, key: str) -> Answer:
        """Read an object."""
        return self._web.ask("GET", self._object(key))

    def list(self, folder: str) -> Answer:
        """List a folder."""
        wanted = {"prefix": folder, "limit": 100, "offset": 0}
        return self._web.ask("POST", f"/object/list/{self.name}", send=wanted)

    def delete(self, key: str) -> Answer:
        """Delete an object."""
        return self._web.ask("DELETE", f"/object/{self.name}", send={"prefixes": [key]})

    def _object(self, key: str) -> str:
        return f"/object/{self.name}/{quote(key)}"


def true_status(answer: Answer) -> int:
    """Return what the storage means: nearly every error has HTTP 400, and its status in the body.

    >>> true_status(Answer(400, {}, b'{"statusCode": "404", "error": "not_found"}'))
    404
    """
    said = str(answer.object().get("statusCode", "")) if answer.status != OK else ""
    return int(said) if said.isascii() and said.isdigit() else answer.status


def ensure_bucket(config: Config, runner: Runner | None = None) -> list[str]:
    """Make the bucket or bring it to what this release needs, mark it, see that it is closed.

    Returns what was done. Can be run any number of times. Raises DeployError where the bucket
    belongs to another environment, or has no mark, other settings, and files of somebody: neither
    is changed. Raises it too where the public key gets through.
    """
    bucket = Bucket(config, runner=runner)
    try:
        return [
            *_made_or_updated(config, bucket),
            _marked(config, bucket),
            _closed(config, bucket, runner),
        ]
    finally:
        bucket.close()


def read_marker(config: Config, runner: Runner | None = None) -> dict[str, Any] | None:
    """Return which environment the bucket belongs to: environment and projectRef; None if new.

    Raises DeployError where the storage refuses or does not answer.
    """
    bucket = Bucket(config, runner=runner)
    try:
        return _marker(bucket)
    finally:
        bucket.close()


def bucket_reached(config: Config, runner: Runner | None = None) -> None:
    """Ask for the bucket; that it is not there yet is fine.

    Raises DeployError where the storage refuses the service's key, or does not answer.
    """
    bucket = Bucket(config, runner=runner)
    try:
        answer = bucket.settings()
    finally:
        bucket.close()
    if true_status(answer) != _NOT_FOUND:
        _expect(answer, "can't be looked at")


def belongs_elsewhere(config: Config, marker: dict[str, Any]) -> Problem | None:
    """Return the problem of a bucket that another environment or project has marked."""
    if marker.get("environment") == config["APP_ENV"] and marker.get("projectRef") in {
        "",
        config["SUPABASE_PROJECT_REF"],
    }:
        return None
    return Problem(
        "STORAGE_BUCKET",
        f"is the bucket of another installation ({marker.get('environment')})",
        "Name this environment's own project and bucket: the two must never be mixed up",
    )


def _made_or_updated(config: Config, bucket: Bucket) -> list[str]:
    """See that there is the bucket, with the settings of this release; say what it was before."""
    found, verb, changes = bucket.settings(), "found", []
    if true_status(found) == _NOT_FOUND:
        _expect(bucket.make(), "can't be made")
        found, verb = bucket.settings(), "made"
    _expect(found, "can't be looked at")
    differences = _differences(found.object())
    if differences:
        _refuse_foreign(config, bucket, differences)
        _expect(bucket.update(), "can't be changed")
        changes = [f"Bucket {bucket.name} changed; it was {text}" for text in differences]
        found = bucket.settings()
        _expect(found, "can't be looked at")
        left = _differences(found.object())
        if left:
            raise DeployError.of(
                "STORAGE_BUCKET", f"can't be changed: it is still {', '.join(left)}", _BY_HAND
            )
    limits = f"private, {SIZE_LIMIT >> 20} MiB a file, {len(TYPES)} media types"
    return [*changes, f"Bucket {bucket.name} {verb}: {limits}"]


def _refuse_foreign(config: Config, bucket: Bucket, differences: list[str]) -> None:
    """Raise DeployError where a bucket is not this installation's to change."""
    marker = _marker(bucket)
    if marker is not None:
        problem = belongs_elsewhere(config, marker)
        if problem:
            raise DeployError(problem)
        return
    files = bucket.list("")
    _expect(files, "can't be listed")
    if files.json() != []:
        raise DeployError.of(
            "STORAGE_BUCKET",
            f"has files but no installation's mark, and is {', '.join(differences)}",
            f"Name a bucket that nothing else uses. Where these files are its own: {_BY_HAND}",
        )


def _differences(settings: dict[str, Any]) -> list[str]:
    """Return what a bucket is otherwise than `make` makes it."""
    size, types = settings.get("file_size_limit"), settings.get("allowed_mime_types") or ()
    differences = []
    if settings.get("public") is not False:
        differences.append("⚠️ PUBLIC ⚠️ (whoever knows a file's address can read it)")
    if size != SIZE_LIMIT:
        differences.append(f"limited to {size} bytes a file" if size else "without a size limit")
    if set(types) != set(TYPES):
        differences.append(f"open for {', '.join(sorted(types)) or 'every media type'}")
    return differences


def _marked(config: Config, bucket: Bucket) -> str:
    marker = _marker(bucket)
    if marker is None:
        wanted = {"environment": config["APP_ENV"], "projectRef": config["SUPABASE_PROJECT_REF"]}
        _expect(bucket.upload(MARKER, json.dumps(wanted).encode()), "can't be written to")
        return f"Marked as the bucket of {config['APP_ENV']}"
    problem = belongs_elsewhere(config, marker)
    if problem:
        raise DeployError(problem)
    return f"Is the bucket of {config['APP_ENV']}"


def _marker(bucket: Bucket) -> dict[str, Any] | None:
    answer = bucket.read(MARKER)
    if true_status(answer) == _NOT_FOUND:
        return None
    _expect(answer, "can't be read")
    return answer.object()


def _closed(config: Config, own: Bucket, runner: Runner | None) -> str:
    """See how the public key fares, with something in the bucket that it could find."""
    stranger = Bucket(config, _PUBLIC_KEY, runner)
    probe = f"probe/{uuid4()}.json"
    try:
        listed = stranger.list(MARKER.partition("/")[0])
        opened = {
            "list": listed.status == OK and listed.json() != [],
            "read": stranger.read(MARKER).status == OK,
            "upload to": stranger.upload(probe, b"{}").status == OK,
        }
    finally:
        stranger.close()
        own.delete(probe)
    problems = [
        Problem(
            "STORAGE_BUCKET",
            f"lets everybody {verb} it with the public key",
            "Remove the policy of storage.objects that allows it (dashboard, Storage, Policies)",
        )
        for verb, open_ in opened.items()
        if open_
    ]
    if problems:
        raise DeployError(*problems)
    return "The public key can't list, read or upload"


def _expect(answer: Answer, cause: str) -> None:
    """Raise DeployError for an answer that is no success."""
    if answer.status == OK:
        return
    status = true_status(answer)
    if status in _FORBIDDEN:
        raise DeployError.of(
            _SERVICE_KEY, "is refused by the storage", "Copy it anew from the dashboard (API keys)"
        )
    remedy = "Look at the storage's log"
    if status in _TOO_LARGE:
        remedy = f"Allow files of {SIZE_LIMIT >> 20} MiB in the project (dashboard, Storage)"
    raise DeployError.of("STORAGE_BUCKET", f"{cause} (status {status})", remedy)
