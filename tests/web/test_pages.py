import hashlib
import re
from importlib.resources import files

import pytest
import yaml
from openapi_spec_validator import validate

from kis_estimator import __version__
from kis_estimator.web.openapi import openapi_sha256, openapi_yaml

from .conftest import MakeWeb, Web

STATIC = files("kis_estimator.web") / "static"


@pytest.mark.parametrize(("language", "word"), [("ko", "분전반"), ("en", "panel estimating")])
def test_the_first_page_says_what_runs_here(web: Web, language: str, word: str) -> None:
    answer = web("GET", "/", headers={"accept-language": language})
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert word in answer.text
    assert __version__ in answer.text
    assert f'lang="{language}-' in answer.text
    assert "$" not in answer.text


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_link_to_what_is_there_and_nowhere_else(web: Web, path: str) -> None:
    text = web("GET", path).text
    links = re.findall(r'(?:href|src)="([^"]*)"', text)
    assert links
    assert {link: web("GET", link).status_code for link in links} == dict.fromkeys(links, 200)
    assert "://" not in text
    assert not re.search(r"<script>|<style>| style=| on\w+=", text)


def test_scripts_are_the_pinned_ones() -> None:
    pinned = (STATIC / "swagger-ui" / "VERSION").read_text().splitlines()[0]
    bundle = (STATIC / "swagger-ui" / "swagger-ui-bundle.js").read_text(encoding="utf-8")
    name, version = pinned.split()
    assert name == "swagger-ui-dist"
    assert f'"{version}"' in bundle
    assert "Apache License" in (STATIC / "swagger-ui" / "LICENSE").read_text()


@pytest.mark.parametrize(
    "path", ["/static/nothing.js", "/static/../app.py", "/static/%2e%2e/app.py", "/static/"]
)
def test_static_files_alone(web: Web, path: str) -> None:
    answer = web("GET", path)
    assert (answer.status_code, answer.json()["code"]) == (404, "NOT_FOUND")


def test_contract_as_yaml_and_json(web: Web) -> None:
    text, data = web("GET", "/openapi"), web("GET", "/openapi.json")
    assert text.headers["content-type"] == "application/yaml"
    document = yaml.safe_load(text.content)
    assert document == data.json()
    assert document["openapi"].startswith("3.1.")
    assert document["info"]["title"] == "KIS Estimator"
    assert document["info"]["version"] == __version__
    assert {"/healthz", "/readyz", "/metrics", "/openapi"} <= set(document["paths"])
    validate(document)


def test_contract_has_the_bearer_scheme(web: Web) -> None:
    document = web("GET", "/openapi.json").json()
    scheme = document["components"]["securitySchemes"]["bearer"]
    assert (scheme["type"], scheme["scheme"], scheme["bearerFormat"]) == ("http", "bearer", "JWT")
    operations = document["paths"]["/v1/test/{item_id}"]
    assert [operations[m]["security"] for m in ("get", "post", "delete")] == [[{"bearer": []}]] * 3
    assert "security" not in document["paths"]["/healthz"]["get"]


def test_hash_of_the_contract(web: Web, make_web: MakeWeb) -> None:
    document = web("GET", "/openapi").content
    sha256 = hashlib.sha256(document).hexdigest()
    assert web("GET", "/healthz").json()["openapiSha256"] == sha256 == openapi_sha256(web.app)
    assert openapi_yaml(make_web().app) == document


def test_a_new_route_is_in_the_contract(web: Web) -> None:
    before = openapi_sha256(web.app)
    web.app.get("/v1/later")(lambda: None)
    assert openapi_sha256(web.app) != before
