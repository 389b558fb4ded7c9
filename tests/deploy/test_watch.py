"""Watching a real HTTP service that is made slow and made to fail."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.deploy.watched import Service, served, wait_for
from tests.e2e.live import Live

from kis_deploy.problems import DeployError
from kis_deploy.watching.probe import checked_urls
from kis_deploy.watching.record import Outcome
from kis_deploy.watching.triggers import Burn, Rules
from kis_deploy.watching.watch import Plan, Screen, Stop, Tell, watch

KIS = (sys.executable, "-P", "-m", "kis_estimator.cli")
LONG = 2.0  # minutes: a test ends the watch itself


def rules(trigger: str) -> Rules:
    """Return rules of one rate, with windows of a second."""
    burn = Burn(
        trigger="p95" if trigger == "p95" else "error rate",
        short_sec=0.5,
        long_sec=1,
        times=6,
        least=4,
    )
    return Rules(burns=(burn,), all_fail_windows_sec=(0.5,), integrity_window_sec=0.5, looks=2)


class Ear(Screen):
    """Hears what the watch tells, and ends it at a word."""

    def __init__(self, stop: Stop, last_word: str) -> None:
        super().__init__(io.StringIO())
        self._stop, self._last_word = stop, last_word
        self.lines: list[str] = []

    def line(self, text: str) -> None:
        self.lines.append(text)
        if self._last_word in text:
            self._stop.ask("heard")


def run(plan: Plan, last_word: str) -> tuple[Outcome, list[str]]:
    stop = Stop()
    ear = Ear(stop, last_word)
    return watch(plan, ear, stop), ear.lines


def looks(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "watch.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("trigger", "broken"),
    [
        ("error rate", {"fails_every": 2}),
        ("all fail", {"fails_every": 1}),
        ("p95", {"delay_sec": 0.6}),
    ],
)
def test_a_bad_release_is_rolled_back_and_the_trigger_resets(
    tmp_path: Path, trigger: str, broken: dict[str, Any]
) -> None:
    calls: list[str] = []
    service = Service(**broken)

    def roll_back(tell: Tell) -> None:
        calls.append("rolled back")
        tell("the release before serves")
        service.fails_every, service.delay_sec = 0, 0.0
        service.start_counting()

    with served(service, clients=6):
        plan = Plan(
            urls=(service.url,),
            folder=tmp_path / "watch",
            minutes=LONG,
            interval_sec=0.1,
            roll_back=roll_back,
            rules=rules(trigger),
        )
        outcome, lines = run(plan, f"RESET: {trigger}")
    assert calls == ["rolled back"]
    assert outcome.rollback is not None
    assert trigger in outcome.rollback.why
    assert "  the release before serves" in lines
    told = json.loads((plan.folder / "watch_report.json").read_text())
    events = [(c["trigger"].split(" (")[0], c["event"]) for c in told["triggers"]]
    assert events.index((trigger, "fired")) < events.index((trigger, "reset"))
    assert told["rollback"]["succeeded"] is True
    assert told["rollback"]["seconds"] >= 0
    assert told["worst"]
    assert told["requests"] > 0
    logged = looks(plan.folder)
    assert len(logged) == told["looks"]
    assert [c for look in logged for c in look["changes"]]
    if not outcome.firing:
        assert (told["result"], outcome.exit_code) == ("rolled back", 4)
    assert "Rollback at" in (plan.folder / "watch_report.txt").read_text()


def test_it_never_rolls_back_twice(tmp_path: Path) -> None:
    calls: list[str] = []

    def roll_back(_tell: Tell) -> None:
        calls.append("tried")
        raise DeployError.of("Rollback", "nothing to go back to", "Deploy a release")

    with served(Service(ready=False)) as service:
        plan = Plan(
            urls=(service.url,),
            folder=tmp_path,
            minutes=0.03,
            interval_sec=0.05,
            roll_back=roll_back,
            rules=rules("p95"),
        )
        outcome, _ = run(plan, "no such word")
    assert calls == ["tried"]
    assert (outcome.result, outcome.exit_code) == ("triggered", 1)
    assert outcome.rollback is not None
    assert outcome.rollback.recovered is False
    assert "nothing to go back to" in (tmp_path / "watch_report.txt").read_text()


def test_what_never_answered_is_not_rolled_back(tmp_path: Path) -> None:
    def roll_back(_tell: Tell) -> None:
        raise AssertionError("must not be called")

    with served(Service()) as gone:
        url = gone.url
    plan = Plan(urls=(url,), folder=tmp_path, minutes=LONG, interval_sec=0.05, roll_back=roll_back)
    outcome, lines = run(plan, "has not answered once")
    told = json.loads((tmp_path / "watch_report.json").read_text())
    assert (outcome.exit_code, told["rollback"]) == (1, None)
    assert outcome.text().splitlines()[0].endswith(": how many requests came is not known")
    assert (told["requests"], told["errorRate"], told["damagedFiles"]) == (None, None, None)
    assert any("FIRED: readyz" in line for line in lines)


def test_damage_fires_on_the_host_that_has_it(tmp_path: Path) -> None:
    with served(Service()) as well, served(Service()) as damaged:

        class Damaging(Ear):
            def look(self, _text: str) -> None:
                damaged.storage.labels("get", "STORAGE_DAMAGED").observe(0.01)

        stop = Stop()
        ear = Damaging(stop, "FIRED")
        plan = Plan(urls=(well.url, damaged.url), folder=tmp_path, minutes=LONG, interval_sec=0.05)
        outcome = watch(plan, ear, stop)
    (change,) = outcome.changes
    assert (change["url"], change["trigger"]) == (damaged.url, "integrity")


def test_processes_that_count_anew_are_compared_from_there_on(tmp_path: Path) -> None:
    with served(Service(fails_every=1), clients=2) as service:
        wait_for(lambda: b"500" in service.answer("/metrics")[1], "requests")
        service.fails_every = 0

        class Restarting(Ear):
            def look(self, _text: str) -> None:
                service.start_counting()

        stop = Stop()
        ear = Restarting(stop, "other processes count now")
        outcome = watch(
            Plan(urls=(service.url,), folder=tmp_path, minutes=LONG, interval_sec=0.2), ear, stop
        )
    assert outcome.replaced == 1
    assert outcome.changes == []


def test_a_disk_without_space_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "watch.jsonl").mkdir()  # so that neither log nor report can be written
    (tmp_path / ".watch_report.json").mkdir()
    with served(Service()) as service:
        plan = Plan(urls=(service.url,), folder=tmp_path, minutes=0.01, interval_sec=0.1)
        outcome, lines = run(plan, "no such word")
    assert outcome.result == "quiet"
    assert outcome.unlogged == outcome.looks > 1
    assert [line.split(" ", 1)[1] for line in lines if "cannot be written" in line] == [
        "The log cannot be written (Is a directory)",
        "The report cannot be written (Is a directory)",
    ]


def test_without_a_place_for_the_report_nothing_begins(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("no folder")
    watching = start(tmp_path, "watch", "--url", "http://127.0.0.1:1")
    _, err = watching.communicate(timeout=120)
    assert watching.returncode == 2
    assert "cannot be made (Not a directory)" in err


def test_few_requests_are_told_as_such(tmp_path: Path) -> None:
    with served(Service()) as service:
        plan = Plan(urls=(service.url,), folder=tmp_path, minutes=0.01, interval_sec=0.1)
        outcome, _ = run(plan, "no such word")
    assert (outcome.result, outcome.exit_code) == ("quiet", 0)
    text = (tmp_path / "watch_report.txt").read_text()
    assert "No trigger fired" in text
    assert "Not judged" in text
    assert "error rate not known" in text
    assert text.splitlines()[0] == (
        f"Watch of {service.url}: no requests came, so neither error rate nor p95 was judged"
    )


def test_what_is_no_metrics_is_not_judged(tmp_path: Path) -> None:
    class Silent(Service):
        def answer(self, path: str) -> tuple[int, bytes]:
            return (200, b"<html>") if path == "/metrics" else super().answer(path)

    with served(Silent()) as service:
        plan = Plan(urls=(service.url,), folder=tmp_path, minutes=0.01, interval_sec=0.1)
        outcome, _ = run(plan, "no such word")
    assert (outcome.result, outcome.exit_code) == ("not judged", 3)


@pytest.mark.parametrize(
    "url", ["", "ftp://h", "http://", "http://u:secret@h", "http://h:0", "http://h?x", "http://[x"]
)
def test_addresses(url: str) -> None:
    with pytest.raises(DeployError) as caught:
        checked_urls([url])
    assert "secret" not in str(caught.value)
    assert checked_urls(["http://h/", "http://h"]) == ("http://h",)


def test_a_terminal_shows_the_last_look_alone() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    shown = {kind: kind() for kind in (Terminal, io.StringIO)}
    for stream in shown.values():
        screen = Screen(stream)
        screen.look("one")
        screen.look("two")
        screen.line("FIRED")
    assert shown[Terminal].getvalue() == "\r\x1b[Kone\r\x1b[Ktwo\r\x1b[KFIRED\n"
    assert shown[io.StringIO].getvalue() == "one\ntwo\nFIRED\n"


# ---------------------------------------------------------------- the command


def start(checkout: Path, *arguments: str, **more: str) -> subprocess.Popen[str]:
    environment = {k: v for k, v in os.environ.items() if k in {"PATH", "HOME"}}
    source = str(Path(__file__).parents[2] / "src")
    return subprocess.Popen(
        [*KIS, "ops", *arguments, "--checkout", str(checkout)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**environment, "PYTHONPATH": source, "LANG": "en_US.UTF-8", **more},
    )


def test_auto_rollback_by_the_script_of_the_checkout(tmp_path: Path) -> None:
    script, back = tmp_path / "DEPLOYMENT_SCRIPT.sh", tmp_path / "back"
    script.write_text(
        f'#!/bin/sh\n[ "$*" = "--rollback --yes" ] || exit 1\n'
        f'echo "key $SUPABASE_SERVICE_ROLE_KEY"\ntouch "{back}"\n'
    )
    script.chmod(0o700)
    with served(Service(ready_when=back)) as service:
        watching = start(
            tmp_path,
            *("watch", "--url", service.url, "--minutes", "0.02", "--interval", "0.1"),
            *("--auto-rollback", "--json"),
            SUPABASE_SERVICE_ROLE_KEY="a-secret-of-forty-characters-that-nobody-sees",
        )
        out, err = watching.communicate(timeout=120)
    assert watching.returncode == 4, err
    told = json.loads(out)
    assert told["result"] == "rolled back"
    assert told["rollback"]["recovered"] is True
    assert told["stillFiring"] == []
    (folder,) = (tmp_path / "out/watch").iterdir()
    log = folder / "rollback.log"
    assert log.stat().st_mode & 0o777 == 0o600
    assert "key ***" in log.read_text()
    written = "".join(path.read_text() for path in folder.iterdir())
    assert "a-secret" not in out + err + written


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda n: n.name)
def test_a_signal_ends_it_with_a_report(tmp_path: Path, number: signal.Signals) -> None:
    with served(Service()) as service:
        watching = start(tmp_path, "watch", "--url", service.url, "--interval", "0.1")
        wait_for(lambda: list(tmp_path.glob("out/watch/*/watch.jsonl")), "a first look")
        watching.send_signal(number)
        out, err = watching.communicate(timeout=120)
    assert watching.returncode == 3, err
    (report,) = tmp_path.glob("out/watch/*/watch_report.json")
    assert json.loads(report.read_text())["ended"] == number.name
    assert "Result: not judged" in out


def test_there_must_be_something_to_roll_back_with(tmp_path: Path) -> None:
    watching = start(tmp_path, "watch", "--url", "http://127.0.0.1:1", "--auto-rollback")
    _, err = watching.communicate(timeout=120)
    assert watching.returncode == 2
    assert "--auto-rollback: there is no DEPLOYMENT_SCRIPT.sh" in err
    assert not (tmp_path / "out").exists()


def test_the_product_is_watched(tmp_path: Path, live: Live) -> None:
    plan = Plan(urls=(live.url,), folder=tmp_path, minutes=0.02, interval_sec=0.2)
    outcome, _ = run(plan, "no such word")
    assert outcome.without_metrics == 0
    assert outcome.not_ready == 0
    assert outcome.total is not None
    assert all(look["queueJobs"] is not None for look in looks(tmp_path))
