"""Trends: what sealed runs came to side by side, kept by a run when it starts."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from sample_run import RUN, SampleRun, whole_run

from runner import errors, record
from runner.canonical import canonical_json, sha256_hex
from runner.earlier_reports import earlier_trends
from runner.report import build_document, document_view, render_html, view_json
from runner.trends import Trends, trends_of
from runner.view import DocumentView
from runner.workspace import Workspace

REPORT = ("laporan-hasil-update", "ratified")


def view_of(run: SampleRun) -> DocumentView:
    return document_view(record.load(run.folder), *REPORT, *run.marks[REPORT])


@pytest.fixture(scope="module", name="sample")
def _sample(tmp_path_factory: pytest.TempPathFactory) -> SampleRun:
    return whole_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module", name="said")
def _said(sample: SampleRun) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(view_json(view_of(sample)))
    return said


def month(said: dict[str, Any], number: int) -> dict[str, Any]:
    """Return the same document as one of a month of 2026."""
    at = f"2026-{number:02d}-21T02:00:00+00:00"
    plan = {**said["plan"], "made_at": f"2026-{number:02d}-20T02:00:00+00:00"}
    return {**said, "run": f"2026-{number:02d}-21-x-1", "made_at": at, "plan": plan}


def test_a_point_tells_open_cves_days_rows_and_what_is_not_good(said: dict[str, Any]) -> None:
    (point,) = trends_of([month(said, 9)]).points
    assert (point.hosts, point.open_cves, point.closed_cves) == (6, 5, 5)
    assert point.latency_days == 1.0
    assert [row.no for row in point.rows][:3] == [2, 3, 4]
    assert ("web1", "disk_space", "/var") in {(f.host, f.code, f.subject) for f in point.found}


def test_an_update_counts_from_the_first_plan_that_named_it(said: dict[str, Any]) -> None:
    untouched = [{"host": h["host"], "plan": h["plan"], "state": "not_done"} for h in said["hosts"]]
    planned_only = {**month(said, 9), "hosts": untouched}
    first, second = trends_of([planned_only, month(said, 10)]).points
    assert first.latency_days is None
    # The plan of 20 September, in effect on 21 October.
    assert second.latency_days == 31.0


def test_what_waits_is_kept_for_the_run_that_starts(said: dict[str, Any]) -> None:
    trends = trends_of([month(said, 9)])
    assert {(w.host, w.since) for w in trends.waiting} >= {("web1", "2026-09-20T02:00:00+00:00")}
    assert "db1" not in {w.host for w in trends.waiting}
    assert Trends.from_snapshot(trends.snapshot(), "trends.json") == trends


def test_a_report_without_an_earlier_run_says_so(sample: SampleRun) -> None:
    assert "Belum ada pelaksanaan SOP ini dalam arsip" in render_html(view_of(sample))


def test_a_report_draws_earlier_runs_and_names_what_comes_back(said: dict[str, Any], tmp_path: Path) -> None:
    trends = trends_of([month(said, 9), month(said, 10)])
    run = whole_run(tmp_path, trends=trends)
    html = render_html(view_of(run))
    assert "<desc>21/09: 5 CVE; 21/10: 5 CVE; 21/11: 5 CVE</desc>" in html
    assert "Temuan yang berulang" in html
    assert "3 dari 3 pelaksanaan" in html


def test_a_rebuild_gives_the_same_bytes_whatever_the_archive_holds(
    said: dict[str, Any], tmp_path: Path
) -> None:
    run = whole_run(tmp_path / "one", trends=trends_of([month(said, 10)]))
    shutil.copytree(run.folder.path, tmp_path / "two" / RUN)
    copy = record.load(type(run.folder)(tmp_path / "two" / RUN))
    mark = run.marks[REPORT]
    one = build_document(record.load(run.folder), *REPORT, *mark, tmp_path / "a")
    two = build_document(copy, *REPORT, *mark, tmp_path / "b")
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]


def test_trends_that_are_not_those_of_the_start_are_refused(said: dict[str, Any], tmp_path: Path) -> None:
    run = whole_run(tmp_path, trends=trends_of([month(said, 10)]))
    run.folder.trends.write_bytes(Trends().snapshot())
    with pytest.raises(errors.VerificationError, match=r"trends\.json"):
        view_of(run)


def sealed(archive: Path, said: dict[str, Any], *, office: str = "Dinas Contoh") -> None:
    """Put a bag with one document into an archive, as the register tells of it."""
    data = archive / "2026" / said["run"] / "data"
    document = canonical_json(said)
    (data / "documents").mkdir(parents=True)
    (data / "documents" / "11.json").write_bytes(document)
    lines, prev = [], "0" * 64
    named = {"path": "documents/11.json", "sha256": sha256_hex(document)}
    told: list[dict[str, Any]] = [
        {"event": "run_started", "sop": {"id": "s"}, "office": office},
        {"event": "document_written", "files": [named]},
    ]
    for number, fields in enumerate(told, 1):
        at = {"seq": number, "prev": prev, "at": "2026-11-21T01:05:00.000000Z", "mono": number, "boot": "b"}
        lines.append(canonical_json({**at, **fields}))
        prev = sha256_hex(lines[-1])
    (data / "journal.jsonl").write_bytes(b"".join(lines))
    entry = {"event": "sealed", "run": said["run"], "path": f"2026/{said['run']}", "journal_head": prev}
    with (archive / "register.jsonl").open("ab") as register:
        register.write(canonical_json(entry))


@pytest.fixture(name="office")
def _office(tmp_path: Path, said: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("RAWAT_ARCHIVE", str(tmp_path))
    for number in (10, 9):
        sealed(tmp_path, month(said, number))
    return Workspace(tmp_path)


def test_sealed_runs_of_the_same_sop_and_office_are_read_oldest_first(
    office: Workspace, said: dict[str, Any], tmp_path: Path
) -> None:
    sealed(tmp_path, month(said, 8), office="Dinas Lain")
    found = earlier_trends(office, "s", "Dinas Contoh")
    assert [point.run for point in found.points] == ["2026-09-21-x-1", "2026-10-21-x-1"]
    assert earlier_trends(office, "other", "Dinas Contoh") == Trends()


@pytest.mark.parametrize("file", ["journal.jsonl", "documents/11.json"])
def test_a_bag_that_was_changed_says_nothing(office: Workspace, file: str, tmp_path: Path) -> None:
    path = tmp_path / "2026/2026-10-21-x-1/data" / file
    path.write_bytes(path.read_bytes().replace(b"2026-10", b"2025-10").replace(b"01:05", b"01:06"))
    assert [point.run for point in earlier_trends(office, "s", "Dinas Contoh").points] == ["2026-09-21-x-1"]


def test_without_an_archive_there_are_no_trends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAWAT_ARCHIVE", str(tmp_path / "none"))
    assert earlier_trends(Workspace(tmp_path), "s", "Dinas Contoh") == Trends()
