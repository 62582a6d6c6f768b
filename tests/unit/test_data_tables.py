"""The tables that a PDF carries: every host, and no formula."""

from __future__ import annotations

import csv
import io

import pytest
from sample_run import SampleRun, whole_run

from runner import record
from runner.data_tables import tables
from runner.report import render_html
from runner.run_view import document_view
from runner.view import MOST_TOLD, DocumentView


@pytest.fixture(scope="module", name="view")
def _view(tmp_path_factory: pytest.TempPathFactory) -> DocumentView:
    run: SampleRun = whole_run(tmp_path_factory.mktemp("run"))
    at = run.marks["laporan-hasil-update", "ratified"]
    return document_view(record.load(run.folder), "laporan-hasil-update", "ratified", *at)


def rows(table: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table.decode("utf-8-sig"), newline=""), delimiter=";"))


def test_every_host_and_update_is_told(view: DocumentView) -> None:
    found = {name: rows(table) for name, table in tables(view)}
    assert [row["host"] for row in found["host.csv"]] == [host.host for host in view.hosts]
    assert {row["host"]: row["hasil"] for row in found["host.csv"]}["web2"] == "gagal"
    assert len(found["pemutakhiran.csv"]) == view.planned_count
    assert {row["sekarang"] for row in found["pemutakhiran.csv"]} == {"berlaku", "dikembalikan"}


@pytest.mark.parametrize("text", ["=cmd|'/c calc'!A0", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_what_a_host_says_begins_no_formula(view: DocumentView, text: str) -> None:
    host = view.hosts[0]
    said = host.model_copy(update={"host": text, "failures": (), "unplanned_because": text})
    (row, *_) = rows(dict(tables(view.model_copy(update={"hosts": (said,)})))["host.csv"])
    for cell in (row["host"], row["keterangan"]):
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r"))


def test_a_separator_or_line_end_in_a_text_adds_no_cell(view: DocumentView) -> None:
    said = view.hosts[0].model_copy(update={"host": 'a;b"\nc;d'})
    table = dict(tables(view.model_copy(update={"hosts": (said,)})))["host.csv"]
    assert len(rows(table)) == 1
    assert None not in rows(table)[0]


def test_of_a_thousand_hosts_the_report_names_the_exceptions_and_the_table_all(view: DocumentView) -> None:
    good, bad = (next(h for h in view.hosts if h.state == state) for state in ("updated", "failed"))
    many = tuple(good.model_copy(update={"host": f"host{n:04d}"}) for n in range(1000))
    kinds = tuple(kind.model_copy(update={"planned": 4000}) for kind in view.kinds)
    large = view.model_copy(update={"hosts": (*many, bad), "kinds": kinds})
    html = render_html(large)
    assert len(large.told(large.hosts)) == 1 < MOST_TOLD
    assert "1 dari 1.001 host: hanya yang perlu perhatian" in html
    assert bad.host in html
    assert "host0999" not in html
    assert len(rows(dict(tables(large))["host.csv"])) == 1001
