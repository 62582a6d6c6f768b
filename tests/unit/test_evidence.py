"""Evidence: one file per host, cut to size, readable whatever text a host sent."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from runner import evidence
from runner.canonical import sha256_hex
from runner.executors.base import Failure, HostResult
from runner.moves import Part
from runner.workspace import RunFolder

PART = Part("1", "playbook", ("web1",))


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run-1")


def written(folder: RunFolder, result: HostResult) -> dict[str, object]:
    entries = evidence.write(folder, 2, 1, PART, [result])
    return evidence.read(folder, entries)[0]


def test_evidence_says_what_came_to_which_host_in_which_part(folder: RunFolder) -> None:
    assert written(folder, HostResult("web1", "failed", {"role": {"x": 1}}, Failure("task", "why"))) == {
        "host": "web1",
        "status": "failed",
        "step": 2,
        "attempt": 1,
        "part": "1",
        "kind": "playbook",
        "results": {"role": {"x": 1}},
        "failure": {"task": "task", "message": "why"},
    }


def test_entries_name_each_host_s_file_and_its_digest(folder: RunFolder) -> None:
    entries = evidence.write(folder, 2, 1, PART, [HostResult("web1", "ok"), HostResult("db1", "ok")])
    expected = [
        {"path": f"evidence/2-1-1/{host}.json", "sha256": sha256_hex((folder.path / path).read_bytes())}
        for host, path in [("web1", "evidence/2-1-1/web1.json"), ("db1", "evidence/2-1-1/db1.json")]
    ]
    assert entries == expected


def test_evidence_is_private(folder: RunFolder) -> None:
    written(folder, HostResult("web1", "ok"))
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.path.rglob("*")}
    assert modes == {"evidence": 0o700, "2-1-1": 0o700, "web1.json": 0o600}


def test_reading_leaves_out_files_that_are_no_evidence(folder: RunFolder) -> None:
    assert evidence.read(folder, [{"path": "documents/02-1-x-draft.json", "sha256": "0" * 64}]) == []


ODD_TEXTS = ["\ud800 half a character", "\x00\x1b[31m", "\u202e turned round", "\u2028", '"}\n{"']


@pytest.mark.parametrize("text", ODD_TEXTS)
def test_odd_text_of_a_host_can_be_written_and_read_again(folder: RunFolder, text: str) -> None:
    result = HostResult("web1", "failed", {"role": {text: text}}, Failure(text, text))
    assert written(folder, result)["status"] == "failed"


def test_numbers_that_json_does_not_have_become_words(folder: RunFolder) -> None:
    result = HostResult("web1", "ok", {"role": {"a": float("nan"), "b": float("inf"), "c": 1.5}})
    assert written(folder, result)["results"] == {"role": {"a": "nan", "b": "inf", "c": 1.5}}


def test_long_text_is_cut_with_a_word_about_it() -> None:
    assert evidence.capped("x" * 30_000) == "x" * evidence.MAX_TEXT + " [cut]"


def test_long_lists_and_mappings_are_cut() -> None:
    many = evidence.MAX_ITEMS + 5
    capped = evidence.capped({"list": list(range(many)), "map": {str(n): n for n in range(many)}})
    assert (len(capped["list"]), len(capped["map"])) == (evidence.MAX_ITEMS, evidence.MAX_ITEMS)


def test_deep_nesting_is_cut() -> None:
    deep: object = "bottom"
    for _ in range(500):
        deep = [deep]
    assert json.dumps(evidence.capped(deep)).count("[cut: nested too deep]") == 1


def test_values_of_json_stay_as_they_are() -> None:
    data = {"a": None, "b": True, "c": 1, "d": "text", "e": [1, {"f": False}]}
    assert evidence.capped(data) == data


@pytest.mark.parametrize(
    "results",
    [
        pytest.param({"plan_updates": {"updates": "none"}}, id="another form"),
        pytest.param({"plan_updates": 5}, id="no object"),
        pytest.param({"apply_updates": {"outcome": "applied", "seconds": math.inf}}, id="endless"),
        pytest.param({"apply_updates": {"outcome": "applied", "seconds": "nan"}}, id="no number"),
        pytest.param({"back_up_host": {"bytes": 10**5000}}, id="a number of 5000 digits"),
        pytest.param({"probe": ["x" * 19_000] * 500}, id="too large"),
    ],
)
def test_results_that_no_document_could_show_stop_their_host_alone(results: dict[str, Any]) -> None:
    found = evidence.accepted(HostResult("web1", "ok", results), changes=False)
    changed = evidence.accepted(HostResult("web1", "ok", results), changes=True)

    assert (found.status, found.results) == ("failed", {})
    assert found.failure
    assert changed.status == "unknown"


def test_a_host_that_failed_by_itself_keeps_its_own_reason() -> None:
    own = Failure("Probe", "out of reach")
    found = evidence.accepted(HostResult("web1", "unreachable", {"plan_updates": 5}, own), changes=True)

    assert (found.status, found.failure, found.results) == ("unreachable", own, {})
