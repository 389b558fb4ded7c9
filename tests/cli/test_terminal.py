"""What the terminal shows: texts of files are never obeyed, and nothing is left out."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.runs import DAY, engine, inputs

from kis_estimator import service
from kis_estimator.engine.model import Gate
from kis_estimator.engine.pipeline import STAGES, Event
from kis_estimator.errors import KisError, Locale, Notice
from kis_estimator.evidence import ChainReport, Difference, Report, StageRecord, Verdict
from kis_estimator.intake import Reading
from kis_estimator.service.replay import Replay
from kis_estimator.terminal import estimate as screen
from kis_estimator.terminal import evidence as packs
from kis_estimator.terminal.console import print_problems, print_said

NASTY = "T\x1b[2J\x9b31m\u202e\u2066\x07\x7f[/x][red]:bomb:"
SHOWN = r"T\x1b[2J\x9b31m\u202e\u2066\x07\x7f[/x][red]:bomb:"
KOREAN: Locale = "ko-KR"


def output(capsys: pytest.CaptureFixture[str]) -> str:
    """Return both streams, which hold no character that a terminal obeys."""
    text = "".join(capsys.readouterr())
    assert [c for c in text if not c.isprintable() and c != "\n"] == []
    return text


def estimated(panel: str) -> service.Estimate:
    request = {
        "customer": {"name": "A"},
        "panels": [
            {
                "name": panel,
                "breakers": [
                    {
                        "role": "main", "category": "MCCB", "poles": 4, "ratedCurrentA": 50,
                        "quantity": 1,
                    },
                    {
                        "role": "branch", "category": "ELB", "poles": 2, "ratedCurrentA": 20,
                        "quantity": 3,
                    },
                ],
            }
        ],
    }  # fmt: skip
    return service.estimate(inputs(json.dumps(request).encode(), "a.json"), engine())


def gate(basis: str | None) -> Gate:
    return Gate(
        stage="evidence", name="complete", value=False, limit=True, passed=False, basis=basis
    )


def test_notices_spell_out_what_a_terminal_would_obey(capsys: pytest.CaptureFixture[str]) -> None:
    notice = Notice("UNKNOWN_BRAND", {"brand": NASTY, "known": [NASTY]}, NASTY, 3, NASTY)
    print_problems([notice], KOREAN)
    # tab, brand, text, and the brands of the hint
    assert output(capsys).count(SHOWN) >= 3
    reading = Reading(request=None, errors=(notice,), warnings=(notice,), skipped=(notice,))
    screen.print_reading(reading, KOREAN)
    assert output(capsys).count(SHOWN) >= 9


def test_cells_paths_and_findings_spell_it_out(capsys: pytest.CaptureFixture[str]) -> None:
    run = estimated("P")
    panel = run.result.panels[0]
    object.__setattr__(panel.devices.spec, "name", NASTY)
    object.__setattr__(panel.enclosure, "sku", NASTY)
    finding = {
        "severity": "violation", "code": "COVER_REGISTRATION", "panel": NASTY,
        "figures": {"number": NASTY},
    }  # fmt: skip
    run.response["findings"].append(finding)
    screen.print_estimate(run, Path(NASTY), engine().rules, KOREAN)
    assert output(capsys).count(SHOWN) == 5
    panels = (panel.devices.spec,)
    screen.print_reading(Reading(request=None, panels=panels), KOREAN)
    assert output(capsys).count(SHOWN) == 1


def test_reports_of_packs_spell_it_out(capsys: pytest.CaptureFixture[str]) -> None:
    broken = Verdict(NASTY, "changed", Notice("VERIFY_BROKEN", {"reason": NASTY}))
    packs.print_report(NASTY, Report((broken,), NASTY, None, NASTY), KOREAN)
    assert output(capsys).count(SHOWN) == 5
    packs.print_chain(NASTY, ChainReport((broken,), None), KOREAN)
    assert output(capsys).count(SHOWN) == 3
    differs = Difference(NASTY, NASTY, NASTY, NASTY)
    packs.print_replay(Replay(1, differs, NASTY, "1", {NASTY: (None, 2)}), KOREAN)
    assert output(capsys).count(SHOWN) == 6
    print_said("EXPORTED", KOREAN, path=NASTY, withheld=1)
    assert output(capsys).count(SHOWN) == 1


def test_long_cells_stand_on_one_line_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    name = "evidence/" + "n" * 600
    packs.print_report("pack", Report((Verdict(name, "ok", None),)), KOREAN)
    assert name in output(capsys)


def test_a_basis_is_shown_in_words_or_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    gates = (gate("not run"), gate(f"missing: a/*.json, {NASTY}"), gate(None))
    screen.print_lint(service.Outcome(gates, (), StageRecord({}, {}, {})), KOREAN)
    *_, known, unknown, none = output(capsys).splitlines()
    assert known.split()[-2:] == ["✘", "미실행"]
    assert f"✘ missing: a/*.json, {SHOWN}" in unknown
    assert none.split()[-1] == "✘"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_bar_shows_a_panel_named_like_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    with screen.progress(KOREAN, show=True) as emit:
        emit(Event("progress", "breaker", 0.5, "P[/x]\x9b31m"))
    assert "P[/x]\\x9b31m" in terminal.getvalue()
    assert "\x9b" not in terminal.getvalue()


def test_the_bar_is_full_when_the_last_stage_is(monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.progress import Progress, TaskID  # noqa: PLC0415 - what the bar is told

    seen: list[float] = []

    def update(_bar: Progress, _task: TaskID, *, completed: float, **_fields: object) -> None:
        seen.append(completed)

    totals: list[float] = []
    add_task = Progress.add_task

    def added(bar: Progress, description: str, *, total: float, panel: str) -> TaskID:
        totals.append(total)
        return add_task(bar, description, total=total, panel=panel)

    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(Progress, "update", update)
    monkeypatch.setattr(Progress, "add_task", added)
    with screen.progress(KOREAN, show=True) as emit:
        for _again in range(2):  # a run whose number was taken is made again
            for stage in STAGES:
                emit(Event("started", stage))
                emit(Event("finished", stage, 1.0))
    assert totals == [len(STAGES)]
    assert seen[-1] == max(seen) == len(STAGES)
    assert seen[: 2 * len(STAGES)] == seen[2 * len(STAGES) :]


def test_cause_and_remedy_in_one_text() -> None:
    notice = Notice("FILE_TOO_LARGE", {"limit": 20})
    assert notice.explained("en-US").startswith("The file is larger than 20 MB. Remove pictures")
    assert Notice("READ_OK", {"panels": 1}).explained("en-US") == "1 panels read"


def test_two_runs_that_saw_the_same_number_free_both_get_one(tmp_path: Path) -> None:
    made: list[str] = []

    def make(number: str) -> service.Estimate:
        made.append(number)
        if len(made) < 3:  # another run writes under this number while this one is made
            (tmp_path / number).mkdir()
            (tmp_path / number / "estimate.json").touch()
        return service.Estimate(
            reading=Reading(request=None),
            result=estimated("P").result,
            response={"number": number},
            files={"estimate.json": number.encode()},
        )

    run, folder = service.make_and_write(make, DAY, tmp_path)
    assert made == [f"KIS-20260131-000{n}" for n in (1, 2, 3)]
    assert (run.number, folder.name) == (made[-1], made[-1])
    assert sorted(path.name for path in tmp_path.iterdir()) == made
    with pytest.raises(KisError, match="NUMBER_TAKEN"):
        service.make_and_write(make, made[0], tmp_path)
    assert made[3:] == made[:1]


def test_other_problems_of_writing_are_not_tried_again(tmp_path: Path) -> None:
    made: list[str] = []
    (tmp_path / "file").touch()

    def make(number: str) -> service.Estimate:
        made.append(number)
        return estimated("P")

    with pytest.raises(KisError, match="FOLDER_UNWRITABLE"):
        service.make_and_write(make, DAY, tmp_path / "file")
    assert len(made) == 1


def test_commands_print_no_control_character(tmp_path: Path) -> None:
    schedule = tmp_path / "T\u009b31m\x1b[31m.csv"
    schedule.write_text("품명,규격,수량\n메인차단기,4P \x1b[31m\u009b50A,1\n누전,2P 80A\u202e,3\n")
    for arguments in (
        ("validate", schedule),
        ("validate", schedule, "--json"),
        ("validate", tmp_path / "\x1b[2J\u009b"),
        ("estimate", schedule, "-o", tmp_path / "\x1b"),
        ("evidence", "verify", schedule),
        ("evidence", "verify", schedule, "--json"),
        ("evidence", "keygen", "-o", tmp_path / "\u009b2J"),
        ("lint", schedule),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "kis_estimator.cli", *map(str, arguments)],
            capture_output=True,
            check=False,
            env={**os.environ, "LANG": "C.UTF-8", "LC_ALL": ""},
            timeout=60,
        )
        text = (done.stdout + done.stderr).decode()
        assert text
        assert "Traceback" not in text
        assert [c for c in text if not c.isprintable() and c != "\n"] == [], arguments
