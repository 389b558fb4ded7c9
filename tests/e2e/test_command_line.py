"""The command line as a person or a program uses it, in processes of its own."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

SAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("0*[!d]"))  # not the .md
DAY = ("--date", "2026-01-31")


def kis(
    *arguments: str | Path, stdin: bytes = b"", **environment: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "kis_estimator.cli", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        check=False,
        env={**os.environ, "LANG": "C.UTF-8", "LC_ALL": "", **environment},
        timeout=60,
    )


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("schedule", SAMPLES, ids=lambda path: path.name)
def test_every_sample_makes_a_whole_folder(schedule: Path, tmp_path: Path) -> None:
    done = kis("estimate", schedule, "-o", tmp_path, *DAY, "--json")
    assert done.returncode == 0, done.stderr.decode()
    response = json.loads(done.stdout)
    folder = tmp_path / "KIS-20260131-0001"
    assert json.loads((folder / "estimate.json").read_text()) == response
    sums = subprocess.run(
        ["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=folder, capture_output=True, check=False
    )
    assert (sums.returncode, sums.stdout) == (0, b"")
    listed = {line.split("  ", 1)[1] for line in (folder / "SHA256SUMS").read_text().splitlines()}
    assert listed == set(tree(folder)) - {"SHA256SUMS"}
    for document in response["documents"]:
        assert (folder / document["path"]).stat().st_size == document["sizeBytes"]
    stages = ["1-enclosure", "2-breaker", "3-critic", "4-format", "5-cover", "6-lint"]
    assert sorted(path.name for path in (folder / "evidence").iterdir()) == stages
    assert re.fullmatch(r"[0-9a-f]{64}", response["designSha"])
    assert response["createdAt"] == "2026-01-30T15:00:00Z"
    passed = {f"{gate['stage']}.{gate['name']}": gate["passed"] for gate in response["gates"]}
    assert len(passed) == 12
    assert set(passed.values()) <= {True, None}
    panels = len(response["panels"])
    kinds = Counter(document["kind"] for document in response["documents"])
    assert kinds == {"xlsx": 1, "pdf": 1, "svg": 3 * panels, "dxf": 3 * panels}
    manifest = (folder / "manifest.json").read_bytes()
    assert response["evidenceSha"] == hashlib.sha256(manifest).hexdigest()
    for check in ("verify", "replay"):
        assert kis("evidence", check, folder).returncode == 0
    assert kis("lint", folder).returncode == 0


def test_same_bytes_in_another_process_hash_seed_and_time_zone(
    examples: Path, tmp_path: Path
) -> None:
    trees = []
    for name, seed, zone in (("a", "0", "UTC"), ("b", "4711", "America/New_York")):
        out = tmp_path / name
        done = kis(
            "estimate", examples / "02_four_tabs_high_voltage.xlsx", "-o", out, *DAY, "--quiet",
            PYTHONHASHSEED=seed, TZ=zone,
        )  # fmt: skip
        assert done.returncode == 0
        files = tree(out / "KIS-20260131-0001")
        for name_of_timings in ("run.json", "SHA256SUMS"):
            del files[name_of_timings]
        trees.append(files)
    assert trees[0].keys() == trees[1].keys()
    assert [name for name in trees[0] if trees[0][name] != trees[1][name]] == []


def test_numbers_count_up_and_a_given_number_is_never_overwritten(
    examples: Path, tmp_path: Path
) -> None:
    schedule = examples / "05_request.txt"
    for number in ("KIS-20260131-0001", "KIS-20260131-0002"):
        assert kis("estimate", schedule, "-o", tmp_path, *DAY, "--quiet").returncode == 0
        assert (tmp_path / number).is_dir()
    before = tree(tmp_path)
    again = kis("estimate", schedule, "-o", tmp_path, *DAY, "--number", "KIS-20260131-0001")
    assert again.returncode == 2
    assert b"NUMBER_TAKEN" in again.stderr
    assert tree(tmp_path) == before


def test_two_runs_at_once_get_numbers_of_their_own(examples: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "kis_estimator.cli", "estimate", "-o", tmp_path, *DAY]
    running = [
        subprocess.Popen(
            [*map(str, command), examples / "05_request.txt"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        for _ in range(3)
    ]
    errors = [process.communicate(timeout=120)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0, 0], errors
    made = sorted(path.name for path in tmp_path.iterdir())
    assert made == [f"KIS-20260131-000{number}" for number in (1, 2, 3)]
    for name in made:
        assert json.loads((tmp_path / name / "estimate.json").read_text())["number"] == name


def test_text_on_standard_input_with_customer_project_and_brand(tmp_path: Path) -> None:
    text = "메인차단기 4P 40A에 분기차단기 누전 4P 20A 2개, 누전 2P 20A 8개".encode()
    done = kis(
        "estimate", "-", "-o", tmp_path, "--json", "--customer", "△△건설", "--project", "신축",
        "--brand", "ls", stdin=text,
    )  # fmt: skip
    response = json.loads(done.stdout)
    assert (response["customer"]["name"], response["project"]) == ("△△건설", "신축")
    models = {p["model"] for p in response["panels"][0]["placements"] if p["role"] == "branch"}
    assert models == {"EBS-54", "32GRHS"}


def test_a_failed_gate_ends_with_1_and_still_writes(tmp_path: Path) -> None:
    request = {
        "customer": {"name": "A"},
        "panels": [
            {
                "name": "P",
                "enclosureSku": "HDS 60 90 15",
                "breakers": [
                    {
                        "role": "main",
                        "category": "MCCB",
                        "poles": 4,
                        "ratedCurrentA": 75,
                        "quantity": 1,
                    },
                    {
                        "role": "branch",
                        "category": "ELB",
                        "poles": 2,
                        "ratedCurrentA": 20,
                        "quantity": 9,
                    },
                ],
            }
        ],
    }
    done = kis("estimate", "-", "-o", tmp_path, "--json", stdin=json.dumps(request).encode())
    assert done.returncode == 1
    assert json.loads(done.stdout)["gatesPassed"] is False


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("품명,규격,수량\n메인차단기,4P 50A,1\n누전차단기,2P 80A,3\n", "UNKNOWN_RATING"),
        ("품명,규격,수량\n메인차단기,4P 200AF/225AT,1\n누전차단기,2P 20A,3\n", "AT_EXCEEDS_AF"),
        ("품명,규격,수량\n누전차단기,2P 20A,3\n배선용차단기,4P 30A,1\n", "NO_MAIN"),
        ("", "FILE_EMPTY"),
    ],
)
def test_bad_input_ends_with_2_and_writes_nothing(text: str, code: str, tmp_path: Path) -> None:
    schedule, out = tmp_path / "schedule.csv", tmp_path / "out"
    schedule.write_text(text, encoding="utf-8")
    done = kis("estimate", schedule, "-o", out)
    assert (done.returncode, done.stdout) == (2, b"")
    assert code.encode() in done.stderr
    assert b"Traceback" not in done.stderr
    assert not out.exists()


def test_validate_prints_json_alone_also_on_exit_2(tmp_path: Path) -> None:
    schedule = tmp_path / "schedule.csv"
    schedule.write_text(
        "품명,규격,수량\n메인차단기,4P 50A,1\n누전차단기,2P 80A,3\n", encoding="utf-8"
    )
    done = kis("validate", schedule, "--json")
    response = json.loads(done.stdout)
    assert done.returncode == 2
    assert response["valid"] is False
    assert response["errors"][0]["row"] == 3
    assert "75" in response["errors"][0]["message"]


def test_a_customer_that_is_no_valid_text_is_refused(examples: Path, tmp_path: Path) -> None:
    schedule = examples / "05_request.txt"
    done = kis("estimate", schedule, "-o", tmp_path / "out", "--customer", "A\udcffB")
    assert done.returncode == 2
    assert b"TEXT_ENCODING" in done.stderr
    assert not (tmp_path / "out").exists()


def test_validate_of_a_missing_file_prints_json_too(tmp_path: Path) -> None:
    done = kis("validate", tmp_path / "no.csv", "--json")
    assert done.returncode == 2
    assert [e["code"] for e in json.loads(done.stdout)["errors"]] == ["FILE_UNREADABLE"]


def test_missing_main_warns_in_validate_and_is_proposed(tmp_path: Path) -> None:
    schedule = tmp_path / "schedule.csv"
    schedule.write_text("품명,규격,수량\n누전차단기,2P 20A,12\n", encoding="utf-8")
    done = kis("validate", schedule, "--json")
    assert done.returncode == 0
    assert "NO_MAIN" in [warning["code"] for warning in json.loads(done.stdout)["warnings"]]
    accepted = kis("estimate", schedule, "-o", tmp_path, "--accept-proposed-main", "--json")
    assert accepted.returncode == 0


def test_english_where_the_terminal_is_english(tmp_path: Path) -> None:
    missing = tmp_path / "no.xlsx"
    korean, english = kis("validate", missing), kis("validate", missing, LANG="en_US.UTF-8")
    assert "열 수 없습니다" in korean.stderr.decode()
    assert "cannot be opened" in english.stderr.decode()
    assert (korean.returncode, english.returncode) == (2, 2)


@pytest.mark.parametrize(
    "arguments",
    [
        ("estimate", "x", "--date", "31.1.2026"),
        ("estimate", "x", "--date", "9999-12-31"),
        ("estimate", "x", "--date", "2026-W01-1"),
        ("nothing",),
        ("estimate",),
    ],
)
def test_a_wrong_call_ends_with_2(arguments: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "x").write_text("메인 4P 50A, 누전 2P 20A 2개")
    done = kis(*(tmp_path / a if a == "x" else a for a in arguments))
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr
