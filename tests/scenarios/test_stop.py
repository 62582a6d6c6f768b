"""A run that ends before its last row is reported on, closed and sealed; nothing more is done on any host."""

from __future__ import annotations

import pytest
from fakes import StepClock

from runner import archive, errors, journal, record, report, run_check, verify
from runner.engine import Closed
from runner.executors.base import ActionRequest
from runner.run_view import document_view
from runner.sop import END_REPORT, parse_sop
from runner.workspace import RunFolder
from scenarios.forgery import Record, find, forge
from scenarios.office import Office, events_of

APPROVED = {2: ["disetujui"]}
WHY = "Gangguan listrik di ruang server"
REPORT = "documents/03-1-laporan-penghentian-final."


def names(folder: RunFolder) -> list[str]:
    return [event.name for event in journal.read(folder.journal)]


def cut_short(office: Office, part: str = "2") -> RunFolder:
    """Return a run whose runner was ended while it changed hosts."""

    def die(request: ActionRequest) -> None:
        if request.part == part and request.step == 3:
            raise KeyboardInterrupt

    office.playbooks.before = die
    folder = office.start()
    with pytest.raises(KeyboardInterrupt):
        office.go_on(folder, APPROVED)
    office.playbooks.before = lambda _request: None
    return folder


def test_a_run_at_its_gate_is_stopped_by_its_operator(contoh: Office) -> None:
    folder = contoh.start()
    contoh.go_on(folder, {})
    closed = contoh.engine(folder).stop("pengelola", f"  {WHY} ")
    assert (closed.outcome, closed.reason) == ("ended", f"stopped by Nama Pengelola: {WHY}")
    assert names(folder)[-3:] == ["run_stopped", "document_written", "run_finished"]
    (stopped,) = events_of(folder, "run_stopped")
    assert (stopped["step"], stopped["person"]["id"], stopped["reason"]) == (2, "pengelola", WHY)
    run_check.checked_run(folder)


def test_nothing_more_is_done_on_any_host(contoh: Office) -> None:
    folder = cut_short(contoh)
    before = len(contoh.playbooks.requests), len(contoh.suites.requests)
    contoh.engine(folder).stop("kabid", WHY)
    assert (len(contoh.playbooks.requests), len(contoh.suites.requests)) == before
    assert isinstance(contoh.go_on(folder, APPROVED, resumed=True), Closed)
    assert (len(contoh.playbooks.requests), len(contoh.suites.requests)) == before
    run_check.checked_run(folder)


@pytest.mark.parametrize(
    ("official", "reason", "told"),
    [
        ("siapa", WHY, "not in the roster"),
        ("kabid", " ", "needs a reason"),
        ("kabid", "x" * 4097, "at most 4096"),
    ],
)
def test_a_stop_by_nobody_or_for_nothing_is_refused(
    contoh: Office, official: str, reason: str, told: str
) -> None:
    folder = contoh.start()
    contoh.go_on(folder, {})
    with pytest.raises(errors.InputError, match=told):
        contoh.engine(folder).stop(official, reason)
    assert "run_stopped" not in names(folder)
    assert record.load(folder).state.gate is not None


def test_a_closed_run_is_not_stopped(contoh: Office) -> None:
    folder = contoh.start()
    contoh.go_on(folder, APPROVED)
    with pytest.raises(errors.InputError, match="nothing to stop"):
        contoh.engine(folder).stop("kabid", WHY)


def test_a_run_that_another_process_works_on_is_not_stopped(contoh: Office) -> None:
    folder = contoh.start()
    contoh.go_on(folder, {})
    with journal.Journal(folder.journal, StepClock()).lock(), pytest.raises(errors.InputError):
        contoh.engine(folder).stop("kabid", WHY)
    assert "run_stopped" not in names(folder)


def test_a_stop_that_was_cut_short_is_finished_by_a_resume(contoh: Office) -> None:
    folder = contoh.start()
    contoh.go_on(folder, {})
    contoh.engine(folder).stop("kabid", WHY)
    lines = folder.journal.read_bytes().splitlines(keepends=True)
    folder.journal.write_bytes(b"".join(lines[:-2]))
    run_check.checked_run(folder)
    assert isinstance(contoh.go_on(folder, {}, resumed=True), Closed)
    assert names(folder)[-4:] == ["run_stopped", "run_resumed", "document_written", "run_finished"]
    run_check.checked_run(folder)


def test_hosts_whose_turn_never_came_are_owed(contoh: Office) -> None:
    folder = cut_short(contoh)
    contoh.engine(folder).stop("kabid", WHY)
    owed = {each["host"]: each["reason"] for each in events_of(contoh.start(), "run_started")[0]["owed"]}
    assert owed == {"db1": "unknown", "file1": "unknown", "web2": "stopped", "web10": "stopped"}


def test_what_was_half_made_when_the_run_was_stopped_is_no_stranger(contoh: Office) -> None:
    folder = contoh.start()
    contoh.go_on(folder, {})
    (folder.path / "decisions").mkdir(mode=0o700)
    (folder.path / "decisions" / "2-1.json").write_bytes(b"half")
    run_check.checked_run(folder)
    contoh.engine(folder).stop("kabid", WHY)
    run_check.checked_run(folder)


def test_a_run_that_an_official_refuses_is_reported_on_as_well(contoh: Office) -> None:
    folder = contoh.start()
    contoh.go_on(folder, {2: ["dibatalkan"]})
    assert names(folder)[-3:] == ["step_finished", "document_written", "run_finished"]
    assert events_of(folder, "document_written")[-1]["document"] == END_REPORT
    run_check.checked_run(folder)


def test_a_completed_run_has_no_such_report(contoh: Office) -> None:
    folder = contoh.start()
    contoh.go_on(folder, APPROVED)
    assert END_REPORT not in {event["document"] for event in events_of(folder, "document_written")}


@pytest.mark.parametrize(
    "decisions", [{3: ["sesuai"], 4: ["tidak diperintahkan"]}, {}], ids=["refused", "stopped"]
)
def test_an_ended_run_is_sealed_where_the_sop_archives(
    surakarta: Office, decisions: dict[int, list[str]]
) -> None:
    folder = surakarta.start()
    surakarta.go_on(folder, decisions)
    if not decisions:
        surakarta.engine(folder).stop("kabid", WHY)
    assert surakarta.archive.sealed == [folder.name]
    sealed = archive.seal(folder, surakarta.root / "sealed")
    assert verify.verify(sealed).kind == "archive"
    assert "Run-Outcome: ended" in (sealed / "bag-info.txt").read_text(encoding="utf-8")
    assert list((sealed / "data" / "documents").glob("*laporan-penghentian-final*"))


def test_no_row_of_a_sop_makes_that_report(contoh: Office) -> None:
    text = contoh.sop_text.replace("document: hasil-uji", f"document: {END_REPORT}")
    with pytest.raises(errors.InputError, match="is written by Rawat itself"):
        parse_sop(text, "x.yml")


# What the report says ----------------------------------------------------------------------------------


def told_of(folder: RunFolder) -> dict[str, object]:
    now = record.load(folder)
    made = next(e for e in now.events if e.name == "document_written" and e["document"] == END_REPORT)
    view = document_view(
        now.at(made["as_of"]), END_REPORT, "final", made["step"], made["attempt"], made["as_of"]
    )
    html = report.render_html(view)
    assert view.ending is not None
    return {
        "how": view.ending.how,
        "silent": view.ending.silent,
        "states": {host.host: host.state for host in view.hosts},
        "html": html,
    }


def test_the_report_names_hosts_of_unknown_state_before_anything_else(contoh: Office) -> None:
    folder = cut_short(contoh)
    contoh.engine(folder).stop("kabid", WHY)
    told = told_of(folder)
    assert (told["how"], told["silent"]) == ("stopped", ("db1", "file1"))
    html = str(told["html"])
    assert html.index("Perhatian: harus ditangani segera") < html.index("Ringkasan")
    assert html.index("<b>db1 dan file1</b>") < html.index("Ringkasan")
    assert WHY in html


def test_the_report_of_a_refused_run_names_who_refused(contoh: Office) -> None:
    folder = contoh.start()
    contoh.go_on(folder, {2: ["dibatalkan"]})
    told = told_of(folder)
    assert told["how"] == "refused"
    assert "Perhatian: harus" not in str(told["html"])
    assert "Nama Kabid" in str(told["html"])


def test_the_report_escapes_the_reason(contoh: Office) -> None:
    folder = contoh.start()
    contoh.go_on(folder, {})
    contoh.engine(folder).stop("kabid", "<script>alert(1)</script>")
    assert "<script>" not in str(told_of(folder)["html"])


# Forged ------------------------------------------------------------------------------------------------


@pytest.fixture
def stopped(contoh: Office) -> RunFolder:
    folder = contoh.start()
    contoh.go_on(folder, {})
    contoh.engine(folder).stop("kabid", WHY)
    return folder


@pytest.mark.parametrize(
    "field",
    [
        {"person": {"id": "x", "name": "x", "nip": "0" * 18, "position": "x", "deputy": None}},
        {"reason": "  "},
        {"step": 3},
        {"attempt": 0},
    ],
)
def test_a_forged_stop_is_found(stopped: RunFolder, field: dict[str, object]) -> None:
    forge(stopped.path, lambda records: find(records, "run_stopped").update(field))
    with pytest.raises(errors.VerificationError, match="run_stopped"):
        run_check.checked_run(stopped)


def test_a_run_that_goes_on_after_its_stop_is_found(stopped: RunFolder) -> None:
    def forged(records: list[Record]) -> None:
        stop = find(records, "run_stopped")
        records.append({**stop, "event": "step_started", "parts": [], "step": 3, "attempt": 1})
        records.insert(records.index(stop) + 1, records.pop())

    forge(stopped.path, forged)
    with pytest.raises(errors.VerificationError, match="out of order"):
        run_check.checked_run(stopped)


def test_a_stopped_run_without_its_report_is_found(stopped: RunFolder) -> None:
    def without(records: list[Record]) -> None:
        records.remove(find(records, "document_written", document=END_REPORT))

    forge(stopped.path, without)
    for path in stopped.documents.glob(f"*{END_REPORT}*"):
        path.unlink()
    with pytest.raises(errors.VerificationError, match="document_written of row 2 was due"):
        run_check.checked_run(stopped)


def test_a_second_stop_is_found(stopped: RunFolder) -> None:
    def twice(records: list[Record]) -> None:
        stop = find(records, "run_stopped")
        records.insert(records.index(stop), dict(stop))

    forge(stopped.path, twice)
    with pytest.raises(errors.VerificationError, match="nothing left to stop"):
        run_check.checked_run(stopped)
