"""What an area showed: nothing that did not run has passed."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.release.projects import copy_project
from tests.release.trees import CHECKS, MEASURED, PASSED, RECORDED, checks, junit

from kis_estimator.release import AreaResult, Check, State, Tally
from kis_estimator.release.definition import definition
from kis_estimator.release.results import GateCodes, read_results
from kis_estimator.release.scans import scans, secrets_in

SCANS = (Check("hashes in the locks", "passed"), Check("secrets in files", "passed"))


class Reports:
    """The reports of a run, changed by a test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "reports"
        self.folder.mkdir()
        self.put("pytest.xml", junit(PASSED))
        self.put("checks.json", checks())
        self.put("bench-service.json", json.dumps(MEASURED))

    def put(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def blocking(self, test: int = 0, bench: int = 0) -> dict[str, State]:
        """Return the areas that block, and how."""
        unseen = Check("known vulnerabilities", "not run", blocks=False)
        codes = GateCodes(test, bench)
        found = read_results(self.folder.parent, definition(), codes, (*SCANS, unseen))
        return {result.title: result.state for result in found if result.state != "passed"}


@pytest.fixture
def reports(tmp_path: Path) -> Reports:
    return Reports(tmp_path)


def test_a_whole_run_blocks_nothing(reports: Reports) -> None:
    assert reports.blocking() == {}


@pytest.mark.parametrize("how", ["failure", "error"])
@pytest.mark.parametrize("name", sorted(PASSED))
def test_a_test_that_fails_blocks_its_areas(reports: Reports, name: str, how: str) -> None:
    reports.put("pytest.xml", junit({**PASSED, name: how}))
    found = reports.blocking()
    assert found.pop("All tests") == "failed"
    assert set(found.values()) == {"failed"}


@pytest.mark.parametrize("outcome", [None, "skipped"])
@pytest.mark.parametrize(
    ("module", "title"),
    [
        ("tests.test_contracts", "OpenAPI contract"),
        ("tests.golden", "Regression (goldset)"),
        ("tests.documents", "Documents"),
        ("tests.test_e2e_supabase", "Supabase, end to end (a project built on this machine)"),
        ("tests.deploy", "Deployment and rollback"),
        ("tests.e2e.test_hostile", "Security"),
    ],
)
def test_an_area_without_a_test_that_passed_is_not_run(
    reports: Reports, module: str, title: str, outcome: str | None
) -> None:
    ours = {name: outcome for name in PASSED if name.startswith(module)}
    kept = {name: ours.get(name, end) for name, end in PASSED.items()}
    reports.put("pytest.xml", junit({name: end for name, end in kept.items() if end is not None}))
    assert reports.blocking()[title] == "not run"


@pytest.mark.parametrize("name", sorted(PASSED))
def test_a_skipped_test_blocks_its_areas(reports: Reports, name: str) -> None:
    reports.put("pytest.xml", junit({**PASSED, name: "skipped"}))
    found = reports.blocking()
    assert found.pop("All tests") == "not run"
    assert set(found.values()) == {"not run"}


@pytest.mark.parametrize("text", ["", "<testsuites>", "{}"])
def test_without_a_whole_test_report_no_area_of_tests_was_run(reports: Reports, text: str) -> None:
    reports.put("pytest.xml", text)
    tested = {area.title for area in definition().areas if area.tests}
    assert reports.blocking() == dict.fromkeys({*tested, "Performance"}, "not run")


@pytest.mark.parametrize("name", CHECKS)
def test_a_check_that_fails_blocks(reports: Reports, name: str) -> None:
    reports.put("checks.json", checks(**{name.replace(" ", "_"): "failed"}))
    titles = {"pytest": "All tests", "previous release": "Deployment and rollback"}
    title = titles.get(name, "Style, types and layout")
    assert reports.blocking() == {title: "failed"}


@pytest.mark.parametrize("text", ["", "{}", "[]"])
def test_without_checks_they_were_not_run(reports: Reports, text: str) -> None:
    reports.put("checks.json", text)
    titles = ("All tests", "Deployment and rollback", "Style, types and layout")
    assert reports.blocking() == dict.fromkeys(titles, "not run")


def test_a_first_release_has_none_before_it(reports: Reports) -> None:
    reports.put("checks.json", checks(previous_release="not run"))
    assert reports.blocking() == {}
    assert reports.blocking(test=1) == {"All tests": "failed"}


def test_a_gate_that_failed_does_not_pass_by_its_report(reports: Reports) -> None:
    assert reports.blocking(test=1) == {"All tests": "failed"}
    assert reports.blocking(bench=1) == {"Performance": "not run"}


@pytest.mark.parametrize("budget", definition().budgets, ids=lambda budget: str(budget.title))
def test_a_budget_is_the_most_that_passes(reports: Reports, budget: Any) -> None:
    for figure, expected in (
        (budget.most, {}),
        (budget.most + 1, {"Performance": "failed"}),
        (None, {"Performance": "not run"}),
        ("1", {"Performance": "not run"}),
    ):
        measured = json.loads(json.dumps({**MEASURED, "tests": RECORDED}))
        *way, last = budget.path
        place = measured
        for key in way:
            place = place[key]
        place[last] = figure
        if way == ["tests"] and figure == "1":
            continue  # a number, as everything that tests record is text
        reports.put("pytest.xml", junit(PASSED, measured.pop("tests")))
        reports.put("bench-service.json", json.dumps(measured))
        assert reports.blocking() == expected


STATES: st.SearchStrategy[State] = st.sampled_from(["passed", "failed", "not run"])


@given(st.lists(st.tuples(STATES, st.booleans())), st.integers(0, 2), st.sampled_from([(), ("t",)]))
def test_an_area_passes_only_when_everything_that_blocks_passed(
    found: list[tuple[State, bool]], passed: int, failing: tuple[str, ...]
) -> None:
    parts = tuple(Check("a", state, blocks=blocks) for state, blocks in found)
    tally = Tally(passed, failing)
    result = AreaResult("A", tally, parts)
    states = [check.state for check in parts if check.blocks]
    assert (result.state == "passed") == (
        passed > 0 and not failing and all(state == "passed" for state in states)
    )
    assert (result.state == "failed") == (bool(failing) or "failed" in states)


# ---------------------------------------------------------------- security scans


SECRETS = {
    "private key": "-----BEGIN " + "PRIVATE KEY-----\n" + "MC4CAQAwBQYDK2VwBCIE" * 2,
    "access token of Supabase": "sbp_" + "0a" * 20,
    "secret key of Supabase": "sb_secret_" + "Ab1_" * 6,
    "signed token (JWT)": "eyJ"
    + "hbGciOiJIUzI1" * 2
    + ".eyJ"
    + "pc3MiOiJzdXBh" * 2
    + "."
    + "x" * 43,
    "access token of GitHub": "ghp_" + "a1" * 18,
    "access key of a cloud": "AKIA" + "A1B2" * 4,
    "token of a chat": "xoxb-" + "12345678-" * 3,
}


@pytest.mark.parametrize("what", sorted(definition().secrets))
def test_a_secret_is_found_and_never_shown(tmp_path: Path, what: str) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib/a.py").write_text(f"# one\nkey = '''{SECRETS[what]}'''\n")
    (tmp_path / "b.bin").write_bytes(b"\xff\x00" + SECRETS[what].encode())
    (tmp_path / "link").symlink_to("b.bin")
    found = list(secrets_in(tmp_path, definition().secrets))
    assert found == [f"b.bin:1 ({what})", f"lib/a.py:2 ({what})"]


def test_the_project_itself_holds_no_secret_and_pins_by_hash(root: Path, tmp_path: Path) -> None:
    found = {
        check.name: check
        for check in scans(copy_project(root, tmp_path / "project"), definition().secrets)
    }
    assert found["hashes in the locks"].state == "passed", found["hashes in the locks"].detail
    assert found["secrets in files"].state == "passed", found["secrets in files"].detail
    assert (found["known vulnerabilities"].state, found["known vulnerabilities"].blocks) == (
        "not run", False,
    )  # fmt: skip


def test_a_pin_without_a_hash_fails(tmp_path: Path) -> None:
    (tmp_path / "requirements.lock").write_text(
        "a==1 \\\n    --hash=sha256:" + "0" * 64 + "\nb==2\n"
    )
    (tmp_path / "requirements-dev.lock").write_text("git+ssh://host/a\n")
    check = next(iter(scans(tmp_path, {})))
    assert (check.state, check.detail) == (
        "failed", "requirements.lock: b, requirements-dev.lock: git+ssh://host/a",
    )  # fmt: skip


def test_every_pattern_leads_to_tests_of_this_project(root: Path) -> None:
    tests = [
        f"{'.'.join(path.relative_to(root).with_suffix('').parts)}::{name}"
        for path in (root / "tests").rglob("test_*.py")
        for name in re.findall(r"^ *def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    patterns = {pattern for area in definition().areas for pattern in area.tests}
    assert {p for p in patterns if not any(fnmatchcase(name, p) for name in tests)} == set()
