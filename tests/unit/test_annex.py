"""Annexes of documents about very many hosts: what they hold, how long they are, and that nothing is lost."""

from __future__ import annotations

from pathlib import Path

import pytest
from many_hosts import GROUPS, UPDATES, many_hosts
from sample_run import SampleRun, whole_run

from runner import annex, report
from runner.annex import MOST_ROWS, annexes
from runner.run_view import document_view
from runner.view import MOST_TOLD, DocumentView

REPORT = ("laporan-hasil-update", "ratified")


@pytest.fixture(scope="module", name="many")
def _many(tmp_path_factory: pytest.TempPathFactory) -> SampleRun:
    return many_hosts(tmp_path_factory.mktemp("many"), 100)


@pytest.fixture(scope="module", name="more")
def _more(tmp_path_factory: pytest.TempPathFactory) -> SampleRun:
    return many_hosts(tmp_path_factory.mktemp("more"), 200)


def view_of(run: SampleRun, document: str, version: str) -> DocumentView:
    return document_view(run.record(), document, version, *run.marks[document, version])


def test_few_hosts_have_no_annex(tmp_path: Path) -> None:
    assert annexes(view_of(whole_run(tmp_path), *REPORT)) == ()


def test_every_host_and_every_group_of_updates_stands_in_one_row(many: SampleRun) -> None:
    view = view_of(many, *REPORT)
    (made,) = annexes(view)

    assert [row.host.host for row in made.rows] == [host.host for host in view.hosts]
    assert [row.number for row in made.rows] == list(range(1, 101))
    assert [group.number for group in made.groups] == list(range(1, GROUPS + 1))
    assert {len(group.updates) for group in made.groups} == {UPDATES}
    # Host 99 was out of reach, so nothing is known about its updates.
    assert sum(group.hosts for group in made.groups) == 99
    assert [row.host.host for row in made.rows if not row.group] == ["pc0099"]


def test_no_annex_is_longer_than_its_limit_however_many_hosts(
    many: SampleRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = view_of(many, *REPORT)
    monkeypatch.setattr(annex, "MOST_ROWS", 40)
    made = annexes(view)

    assert [one.number for one in made] == list(range(1, len(made) + 1))
    assert {one.count for one in made} == {len(made)}
    sizes = [len(one.rows) + sum(1 + len(group.updates) for group in one.groups) for one in made]
    assert max(sizes) <= 40 < MOST_ROWS
    assert sum(sizes) == 100 + GROUPS * (1 + UPDATES)
    assert [row.number for one in made for row in one.rows] == list(range(1, 101))


def test_a_group_longer_than_an_annex_has_one_of_its_own(
    many: SampleRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(annex, "MOST_ROWS", UPDATES)
    made = annexes(view_of(many, *REPORT))
    assert [len(one.groups) for one in made if one.groups] == [1] * GROUPS


@pytest.mark.parametrize(
    "document",
    [
        ("laporan-hasil-pengecekan", "verified"),
        ("catatan-update", "final"),
        ("notulensi-hasil-update", "final"),
        REPORT,
    ],
)
def test_what_is_signed_stays_short(many: SampleRun, more: SampleRun, document: tuple[str, str]) -> None:
    """Twice as many hosts make no more rows in it than the exceptions among them do."""
    short, long = (report.render_html(view_of(run, *document)) for run in (many, more))

    assert long.count("<tr") <= short.count("<tr") + 20


def test_the_signed_report_names_each_annex_and_its_digest(many: SampleRun) -> None:
    view = view_of(many, *REPORT)
    html = report.render_html(view, annexed=["7" * 64])

    assert "Lampiran Terpisah" in html
    assert "11-1-laporan-hasil-update-ratified.lampiran-1.pdf" in html
    assert "7" * 64 in html
    assert "Host nomor 1 s.d. 100; Kelompok 1 s.d. 20" in html
    assert len(view.hosts) > MOST_TOLD
