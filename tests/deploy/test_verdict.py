"""The last words of a run: true of what happened, and what to do next."""

from pathlib import Path

import pytest

from kis_deploy.report import Outcome, Report, StepReport, unfinished
from kis_deploy.verdict import verdict


def told(
    result: Outcome, *, mode: str = "deploy", previous: str | None = "1.1.0", steps: int = 0
) -> str:
    report = Report(Path(), "production", mode, "1.2.0", previous, looked=True, result=result)
    report.steps = [StepReport(number, "A step") for number in range(steps)]
    report.problems = [{"what": "p95", "cause": "failed 900 ms", "remedy": "Look"}]
    return verdict(report, dry=mode == "dry run")


@pytest.mark.parametrize(
    ("result", "mode", "previous", "steps", "said"),
    [
        ("successful", "deploy", "1.1.0", 8, "24 hours: ./DEPLOYMENT_SCRIPT.sh --rollback"),
        ("successful", "rollback", "1.3.0", 8, "To undo it: ./DEPLOYMENT_SCRIPT.sh --rollback"),
        ("successful", "dry run", "1.1.0", 4, "✅ Dry run: nothing was changed"),
        ("successful", "restore", "1.1.0", 4, "✅ RESTORE DONE"),
        ("failed", "deploy", "1.1.0", 5, "1. v1.1.0 goes on serving"),
        ("failed", "deploy", None, 5, "1. Nothing was switched"),
        ("cancelled", "deploy", "1.1.0", 5, "❌ DEPLOYMENT CANCELLED"),
        ("interrupted", "rollback", "1.1.0", 5, "❌ ROLLBACK INTERRUPTED"),
        ("rolled back", "deploy", "1.1.0", 9, "FAILED, v1.1.0 serves again"),
        ("rollback failed", "deploy", "1.1.0", 9, "FAILED, and so did going back"),
        ("rollback failed", "rollback", "1.1.0", 7, "What served before: ./DEPLOYMENT_SCRIPT.sh"),
    ],
)
def test_it_says_what_happened_and_what_to_do(
    result: Outcome, mode: str, previous: str | None, steps: int, said: str
) -> None:
    text = told(result, mode=mode, previous=previous, steps=steps)
    assert said in text
    assert "What was wrong:\n  p95: failed 900 ms\n" in text


def test_nobody_is_sent_back_to_nothing() -> None:
    assert "--rollback" not in told("successful", previous=None)
    assert "and so did going back" not in told("rollback failed", mode="rollback", steps=7)


def test_a_summary_says_nothing_that_is_not_known(tmp_path: Path) -> None:
    report = Report(tmp_path, "production", "deploy", "1.2.0")
    assert "(before: not known)" in report.summary()
    report.looked = True
    assert "(before: nothing served)" in report.summary()
    report.previous = "1.1.0"
    assert "(before: v1.1.0)" in report.summary()


def test_a_killed_deployment_is_told_until_something_changes(tmp_path: Path) -> None:
    def run(name: str, mode: str, result: Outcome) -> None:
        folder = tmp_path / name
        folder.mkdir()
        report = Report(folder, "production", mode, "1.2.0", result=result)
        report.steps = [StepReport(6, "Deploying Application")]
        report.write()

    assert unfinished(tmp_path) is None
    run("1", "deploy", "running")
    killed = "1 was killed in step 6 (Deploying Application)"
    assert unfinished(tmp_path) == killed
    run("2", "dry run", "successful")
    run("3", "check of a snapshot", "running")
    assert unfinished(tmp_path) == killed
    run("4", "rollback", "successful")
    assert unfinished(tmp_path) is None
