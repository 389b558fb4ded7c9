"""A cut refuses for every reason at once, freezes what its gates showed, or leaves no release."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import stat
import subprocess
from pathlib import Path

import pytest
from tests.release.conftest import Keys
from tests.release.trees import (
    PASSED,
    TAG,
    VERSION,
    Tree,
    program,
)

from kis_estimator.errors import KisError
from kis_estimator.evidence.keys import make_keys
from kis_estimator.release import Checkout, Outcome
from kis_estimator.release.definition import definition
from kis_estimator.release.locks import pins


def refused(tree: Tree, key: Path | None, version: str = VERSION) -> list[str]:
    """Return the codes of everything that stands against a cut."""
    with pytest.raises(KisError) as caught:
        tree.cut(key, version)
    assert all(notice.hint("en-US") for notice in caught.value.notices)
    return sorted(notice.code for notice in caught.value.notices)


# ---------------------------------------------------------------- refusals


def test_every_reason_is_named_at_once(tree: Tree) -> None:
    tree.git("tag", "v1.2.3-estimator")
    (tree.output / "v1.2.3").mkdir(parents=True)
    tree.git("rm", "--quiet", "requirements-dev.lock", "gates/code")
    tree.write("openapi.yaml", "openapi: 3.0.0\n")
    tree.write("CHANGELOG.md", "## [Unreleased]\n\n- Something\n\n## [1.2.3] - soon\n")
    for name in ("user.name", "user.email"):
        tree.git("config", name, "")
    assert refused(tree, None, "1.2.3") == [
        "RELEASE_CHANGELOG_HEADING",
        "RELEASE_CHANGELOG_UNRELEASED",
        "RELEASE_DIRTY",
        "RELEASE_EXISTS",
        "RELEASE_FILES_MISSING",
        "RELEASE_NO_IDENTITY",
        "RELEASE_OPENAPI",
        "RELEASE_TAG_EXISTS",
        "RELEASE_UNSIGNED",
        "RELEASE_VERSION_DIFFERS",
    ]
    assert sorted(path.name for path in tree.output.iterdir()) == ["v1.2.3"]
    assert tree.tags() == ["v1.2.3-estimator"]


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("new.txt", "untracked", "RELEASE_DIRTY"),
        ("openapi.yaml", "openapi: 3.1.0\n\n", "RELEASE_OPENAPI"),
        ("src/kis_estimator/__init__.py", '__version__ = "9.9.8"\n', "RELEASE_VERSION_DIFFERS"),
        ("src/kis_estimator/__init__.py", "", "RELEASE_VERSION_DIFFERS"),
        ("CHANGELOG.md", "## [Unreleased]\n", "RELEASE_CHANGELOG_HEADING"),
        ("CHANGELOG.md", "## [9.9.9] - 2026-01-31\n", "RELEASE_CHANGELOG_UNRELEASED"),
        (
            "CHANGELOG.md",
            "## [Unreleased]\n\n## [9.9.9] - 2026-02-30\n",
            "RELEASE_CHANGELOG_HEADING",
        ),
    ],
)
def test_one_reason_is_enough(tree: Tree, keys: Keys, name: str, text: str, code: str) -> None:
    tree.write(name, text)
    if code != "RELEASE_DIRTY":
        tree.commit()
    assert refused(tree, keys.private) == [code]
    assert tree.tags() == []


@pytest.mark.parametrize("name", sorted(definition().files.values()))
def test_a_file_that_a_release_holds_is_never_left_out(tree: Tree, keys: Keys, name: str) -> None:
    tree.git("rm", "-r", "--quiet", name)
    tree.commit()
    assert refused(tree, keys.private) == ["RELEASE_FILES_MISSING"]


def test_a_key_that_others_may_read_signs_nothing(tree: Tree, tmp_path: Path) -> None:
    _, private, _ = make_keys(tmp_path / "keys")
    private.chmod(0o640)
    assert refused(tree, private) == ["KEY_PERMISSIONS"]
    assert refused(tree, tmp_path / "none.pem") == ["KEY_UNREADABLE"]


def test_outside_of_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(KisError, match="RELEASE_NO_CHECKOUT"):
        Checkout.around(tmp_path)


# ---------------------------------------------------------------- a release


def test_a_release_holds_what_was_promised(released: tuple[Tree, Outcome]) -> None:
    tree, outcome = released
    held = {
        path.relative_to(outcome.folder).as_posix()
        for path in outcome.folder.rglob("*")
        if path.is_file()
    }
    assert outcome.folder == tree.output / "v9.9.9"
    migrations = {name for name in held if name.startswith("supabase/migrations/")}
    assert migrations
    assert held - migrations == {
        *definition().files.keys() - {"supabase/migrations"},
        "PROMOTION_READINESS_REPORT.md",
        "SHA256SUMS",
        "kis_estimator-9.9.9-py3-none-any.whl",
        "release.dsse.json",
        "release.json",
        "reports/bench-service.json",
        "reports/bench.log",
        "reports/checks.json",
        "reports/pytest.xml",
        "reports/test.log",
        "sbom.cdx.json",
    }
    assert [path.name for path in tree.output.iterdir()] == ["v9.9.9"]
    assert tree.git("status", "--porcelain") == ""


def test_its_checksums_hold_for_everybody(released: tuple[Tree, Outcome]) -> None:
    folder = released[1].folder
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=folder, check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    files = sum(path.is_file() for path in folder.rglob("*"))
    assert len(done.stdout.splitlines()) == files - 2  # not itself, not the signature of it


def test_the_tag_names_commit_and_checksums(released: tuple[Tree, Outcome]) -> None:
    tree, outcome = released
    assert (outcome.tag, tree.tags()) == (TAG, [TAG])
    assert tree.git("cat-file", "-t", TAG) == "tag\n"  # annotated
    assert tree.git("rev-parse", f"{TAG}^{{commit}}") == tree.git("rev-parse", "HEAD")
    sums = hashlib.sha256((outcome.folder / "SHA256SUMS").read_bytes()).hexdigest()
    assert sums in tree.git("for-each-ref", "--format=%(contents)", f"refs/tags/{TAG}")
    facts = json.loads((outcome.folder / "release.json").read_bytes())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", facts.pop("createdAt"))
    assert facts == {
        "version": VERSION,
        "tag": TAG,
        "commit": tree.git("rev-parse", "HEAD").strip(),
        "openapiSha256": hashlib.sha256(program().contract).hexdigest(),
    }


def test_the_signature_is_plain_dsse_over_every_file(
    released: tuple[Tree, Outcome], keys: Keys, tmp_path: Path
) -> None:
    folder = released[1].folder
    sealed = json.loads((folder / "release.dsse.json").read_bytes())
    payload, kind = base64.b64decode(sealed["payload"]), sealed["payloadType"]
    (tmp_path / "signed").write_bytes(
        b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)
    )
    (tmp_path / "sig").write_bytes(base64.b64decode(sealed["signatures"][0]["sig"]))
    check = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(keys.public), "-rawin"]
    subprocess.run([*check, "-in", "signed", "-sigfile", "sig"], cwd=tmp_path, check=True)
    subjects = {s["name"]: s["digest"]["sha256"] for s in json.loads(payload)["subject"]}
    assert subjects == {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "release.dsse.json"
    }


def test_the_bill_of_materials_is_the_lock(released: tuple[Tree, Outcome]) -> None:
    folder = released[1].folder
    bom = json.loads((folder / "sbom.cdx.json").read_bytes())
    lock = list(pins((folder / "requirements.lock").read_text()))
    assert (bom["bomFormat"], bom["specVersion"]) == ("CycloneDX", "1.6")
    assert len(bom["components"]) == len(lock) > 50
    for component, pin in zip(bom["components"], lock, strict=True):
        assert (component["name"], component["version"]) == (pin.name, pin.version)
        assert [entry["content"] for entry in component["hashes"]] == list(pin.hashes) != []
    product = bom["metadata"]["component"]
    wheel = (folder / "kis_estimator-9.9.9-py3-none-any.whl").read_bytes()
    assert product["purl"] == "pkg:pypi/kis-estimator@9.9.9"
    assert product["hashes"][0]["content"] == hashlib.sha256(wheel).hexdigest()
    refs = {product["bom-ref"], *(component["bom-ref"] for component in bom["components"])}
    graph = {entry["ref"]: entry["dependsOn"] for entry in bom["dependencies"]}
    assert graph.keys() == refs
    assert {ref for wanted in graph.values() for ref in wanted} == refs - {product["bom-ref"]}
    assert any(ref.startswith("pkg:pypi/fastapi@") for ref in graph[product["bom-ref"]])


def test_scripts_can_still_be_run(tree: Tree, keys: Keys) -> None:
    tree.write("DEPLOYMENT_SCRIPT.sh", "#!/bin/sh\n", mode=0o755)
    tree.commit()
    script = tree.cut(keys.private).folder / "DEPLOYMENT_SCRIPT.sh"
    assert script.stat().st_mode & stat.S_IXUSR


def test_the_report_says_what_the_gates_of_this_run_said(released: tuple[Tree, Outcome]) -> None:
    tree, outcome = released
    text = (outcome.folder / "PROMOTION_READINESS_REPORT.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
    assert ["Commit", f"`{tree.git('rev-parse', 'HEAD').strip()}`"] in rows
    assert ["Result", "✅ ready for promotion"] in rows
    assert ["OpenAPI contract", "✅ passed", "2", "0", "0", "3.0"] in rows
    assert ["Security", "✅ passed", "2", "0", "0", "15.0"] in rows
    assert ["All tests", "✅ passed", "9", "0", "0", "36.0"] in rows
    bench, test = "`script/bench service`", "`script/test --reports`"
    assert ["GET /v1/estimate/{id}, p95", "3.8 ms", "≤ 25 ms", "✅ passed", bench] in rows
    rollback = "Rollback of the application, until it serves"
    assert [rollback, "4.1 s", "≤ 15 s", "✅ passed", test] in rows
    (vulnerabilities,) = (row for row in rows if "known vulnerabilities" in row)
    assert vulnerabilities[2:4] == ["⬜ not run", "no"]
    digests = {row[1].strip("`"): row[0].strip("`") for row in rows if len(row) == 2}
    for name in ("openapi.yaml", "requirements.lock", "reports/pytest.xml", "sbom.cdx.json"):
        assert digests[name] == hashlib.sha256((outcome.folder / name).read_bytes()).hexdigest()


# ---------------------------------------------------------------- what blocks


def test_a_blocked_release_leaves_its_reports_alone_until_it_is_cut(tree: Tree, keys: Keys) -> None:
    test = "tests.documents.test_pdf::test"
    tree.tests_end({**PASSED, f"{test}_new": "failure", f"{test}_old": "skipped"}, code=1)
    tree.commit()
    outcome = tree.cut(keys.private)
    blocked = tree.output / "v9.9.9.blocked"
    assert (outcome.tag, outcome.folder, tree.tags()) == (None, blocked, [])
    assert sorted(path.name for path in blocked.iterdir()) == [
        "PROMOTION_READINESS_REPORT.md", "reports",
    ]  # fmt: skip
    text = (blocked / "PROMOTION_READINESS_REPORT.md").read_text(encoding="utf-8")
    assert "❌ blocked by: All tests, Documents" in text
    assert f"## Failed tests\n\n- `{test}_new`\n\n## Skipped tests\n\n- `{test}_old`\n" in text
    assert (blocked / "reports/test.log").read_text() == "tests ran\n"
    assert [path.name for path in tree.output.iterdir()] == [blocked.name]

    tree.tests_end(PASSED)
    tree.commit()
    assert tree.cut(keys.private).tag == TAG
    assert [path.name for path in tree.output.iterdir()] == ["v9.9.9"]


def test_a_checkout_that_changes_meanwhile_is_not_released(tree: Tree, keys: Keys) -> None:
    tree.write("script/bench", "#!/bin/sh\necho '{}' | tee new.json\n", mode=0o755)
    tree.commit()
    assert refused(tree, keys.private) == ["RELEASE_MOVED"]
    assert (tree.tags(), list(tree.output.iterdir())) == ([], [])


def test_without_the_tag_there_is_no_release(tree: Tree, keys: Keys) -> None:
    hook = tree.root / ".git/hooks/reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ngrep -q refs/tags/ && exit 1\nexit 0\n")
    hook.chmod(0o755)
    assert refused(tree, keys.private) == ["RELEASE_GIT"]
    assert (tree.tags(), list(tree.output.iterdir())) == ([], [])


def test_a_gate_that_cannot_start_or_a_wheel_that_cannot_be_built(tree: Tree, keys: Keys) -> None:
    tree.write("script/bench", "")
    tree.commit()
    assert refused(tree, keys.private) == ["RELEASE_GATE"]
    (tree.root / "src/kis_deploy/__init__.py").unlink()
    tree.commit()
    assert refused(tree, keys.private) == ["RELEASE_WHEEL"]
    assert list(tree.output.iterdir()) == []


def test_gates_see_no_setting_of_the_product(
    tree: Tree, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree.write("script/bench", "#!/bin/sh\nenv >&2\ncat gates/bench.json\n", mode=0o755)
    tree.commit()
    monkeypatch.setenv("SUPABASE_SERVICE_ROLE_KEY", "not-for-tests")
    monkeypatch.setenv("KIS_RELEASE_KEY", str(keys.private))
    folder = tree.cut(keys.private).folder
    log = (folder / "reports/bench.log").read_text()
    assert f"PATH={os.environ['PATH']}" in log
    assert [word for word in ("SUPABASE_", "KIS_", "not-for-tests") if word in log] == []
