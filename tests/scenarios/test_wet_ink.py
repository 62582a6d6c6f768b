"""A decision in wet ink: one enters the scan, a second confirms it, and only then it counts."""

from __future__ import annotations

import io
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from runner import errors, journal, record, signing, verify
from runner.decisions import Paper
from runner.engine import Closed, Waiting
from runner.export_items import items_of
from runner.gates import Choice
from runner.journal import Event
from runner.scans import MAX_BYTES, read_scan
from runner.screens import gate_view
from runner.workspace import RunFolder
from scenarios.forgery import find, forge
from scenarios.office import Office, events_of

DAY = 24 * 3600.0
PDF = b"%PDF-1.7 a made-up scan"
TODAY = date(2026, 11, 21)


@pytest.fixture
def waiting(contoh: Office) -> RunFolder:
    """Return a run that waits at its gate, row 2."""
    folder = contoh.start()
    assert isinstance(contoh.go_on(folder, {}), Waiting)
    return folder


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """Return a scan."""
    path = tmp_path / "scan.pdf"
    path.write_bytes(PDF)
    return path


def enter(
    office: Office,
    folder: RunFolder,
    scan: Path,
    *,
    by: str = "pengelola",
    official: str = "kabid",
    outcome: str = "disetujui",
    reason: str = "Alasan contoh",
    dated: date | None = None,
    key: str = "",
) -> Event:
    choice, paper = Choice(official, outcome, reason), Paper(scan, by, dated)
    return office.engine(folder).decisions.enter(choice, paper, office.key(key or by))


def confirm(office: Office, folder: RunFolder, by: str = "pranata", key: str = "") -> Event:
    return office.engine(folder).decisions.confirm(by, office.key(key or by))


@pytest.fixture
def entered(contoh: Office, waiting: RunFolder, scan: Path) -> RunFolder:
    """Return a run at whose gate a paper was entered."""
    enter(contoh, waiting, scan)
    return waiting


@pytest.fixture
def confirmed(contoh: Office, entered: RunFolder) -> RunFolder:
    """Return a run whose gate a paper has passed."""
    confirm(contoh, entered)
    return entered


def test_a_paper_counts_once_a_second_person_has_confirmed_it(contoh: Office, confirmed: RunFolder) -> None:
    made = events_of(confirmed, "decision_made")[0]
    assert (made["person"]["id"], made["outcome"]) == ("kabid", "disetujui")
    assert made["paper"]["entered_by"]["id"] == "pengelola"
    assert made["paper"]["confirmed_by"]["id"] == "pranata"
    assert isinstance(contoh.go_on(confirmed, {}, resumed=True), Closed)
    verify.check_run(confirmed)


def test_an_entered_paper_alone_opens_no_gate(contoh: Office, entered: RunFolder) -> None:
    stopped = contoh.go_on(entered, {}, resumed=True)
    assert isinstance(stopped, Waiting)
    assert [request.step for request in contoh.playbooks.requests] == [1]
    verify.check_run(entered)


def test_the_scan_is_kept_beside_the_statements_byte_for_byte(confirmed: RunFolder) -> None:
    assert sorted(path.name for path in (confirmed.path / "decisions").iterdir()) == [
        "2-1-2.json",
        "2-1-2.json.sig",
        "2-1.json",
        "2-1.json.sig",
        "2-1.pdf",
    ]
    assert (confirmed.path / "decisions" / "2-1.pdf").read_bytes() == PDF


def test_the_scan_is_exported_as_a_copy_of_the_paper(contoh: Office, confirmed: RunFolder) -> None:
    assert isinstance(contoh.go_on(confirmed, {}, resumed=True), Closed)
    events = tuple(journal.read(confirmed.journal))
    *_, scan = items_of(events, lambda path: (confirmed.path / path).read_bytes())
    assert (scan.path, scan.development) == ("decisions/2-1.pdf", "Salinan (pindaian)")
    assert "disetujui" in scan.title
    assert events_of(confirmed, "decision_made")[0]["person"]["name"] in scan.signed_by


def test_a_scan_of_another_kind_that_a_crash_left_is_no_stranger(
    contoh: Office, waiting: RunFolder, scan: Path
) -> None:
    (waiting.path / "decisions").mkdir(exist_ok=True)
    (waiting.path / "decisions" / "2-1.png").write_bytes(b"half a scan")
    enter(contoh, waiting, scan)
    confirm(contoh, waiting)
    assert isinstance(contoh.go_on(waiting, {}, resumed=True), Closed)
    verify.check_run(waiting)


def test_each_statement_is_signed_by_whoever_vouches(confirmed: RunFolder) -> None:
    signers = confirmed.allowed_signers.read_bytes()
    for number, who in ((1, "pengelola"), (2, "pranata")):
        path = confirmed.statement(2, 1, number)
        signature = path.with_name(f"{path.name}.sig").read_bytes()
        assert json.loads(path.read_bytes())["signer"] == who
        assert signing.is_signed_by(path.read_bytes(), signature, who, signers)


ENTRIES: dict[str, tuple[dict[str, Any], str]] = {
    "signed by who enters it": (
        {"by": "kabid"},
        "Nama Kabid signed the paper; others have to enter and confirm it",
    ),
    "of the operator": (
        {"official": "pengelola", "by": "analis"},
        "Nama Pengelola operates this run and may not decide its gates",
    ),
    "of another position": (
        {"official": "analis"},
        "Nama Analis does not hold the awaited position, Kepala Contoh",
    ),
    "by a stranger": ({"by": "stranger"}, "'stranger' is not in the roster of officials"),
    "without a reason": ({"outcome": "dibatalkan", "reason": " "}, "'dibatalkan' needs a reason"),
    "dated before the gate": (
        {"dated": date(2026, 11, 20)},
        "the paper is dated 2026-11-20; the gate has been open from 2026-11-21, and today is 2026-11-21",
    ),
    "dated tomorrow": (
        {"dated": date(2026, 11, 22)},
        "the paper is dated 2026-11-22; the gate has been open from 2026-11-21, and today is 2026-11-21",
    ),
}


@pytest.mark.parametrize("case", ENTRIES)
def test_a_paper_that_may_not_be_entered_so(
    contoh: Office, waiting: RunFolder, scan: Path, case: str
) -> None:
    how, told = ENTRIES[case]
    with pytest.raises(errors.DecisionRefusedError) as caught:
        enter(contoh, waiting, scan, **how)
    assert str(caught.value) == told
    assert not (waiting.path / "decisions").exists()


def test_a_paper_entered_with_another_s_key_does_not_count(
    contoh: Office, waiting: RunFolder, scan: Path
) -> None:
    with pytest.raises(errors.DecisionRefusedError, match="is not the key of Nama Pengelola"):
        enter(contoh, waiting, scan, key="analis")


CONFIRMATIONS = {
    "by who entered it": ("analis", "Nama Analis entered this decision; a second person has to confirm it"),
    "by who signed it": ("kabid", "Nama Kabid signed the paper; others have to enter and confirm it"),
    "by the operator": (
        "pengelola",
        "Nama Pengelola operates this run and may not confirm a decision of it",
    ),
    "by a stranger": ("stranger", "'stranger' is not in the roster of officials"),
}


@pytest.mark.parametrize("case", CONFIRMATIONS)
def test_who_may_not_confirm(contoh: Office, waiting: RunFolder, scan: Path, case: str) -> None:
    by, told = CONFIRMATIONS[case]
    enter(contoh, waiting, scan, by="analis")
    with pytest.raises(errors.DecisionRefusedError) as caught:
        confirm(contoh, waiting, by)
    assert str(caught.value) == told


@pytest.mark.parametrize("twin", ["nip", "key"])
def test_who_entered_it_does_not_confirm_it_with_a_second_account(
    contoh: Office, scan: Path, twin: str
) -> None:
    analis = contoh.roster.officials[1]
    other = {"nip": "0" * 17 + "9"} if twin == "key" else {"key": contoh.roster.officials[2].key}
    second = analis.model_copy(update={"id": "kembar", **other})
    contoh.roster = contoh.roster.model_copy(update={"officials": [*contoh.roster.officials, second]})
    folder = contoh.start()
    contoh.go_on(folder, {})
    enter(contoh, folder, scan, by="analis")
    with pytest.raises(errors.DecisionRefusedError, match="a second person has to confirm it"):
        confirm(contoh, folder, "kembar", "analis" if twin == "key" else "pranata")


def test_nothing_entered_is_nothing_to_confirm_or_to_withdraw(contoh: Office, waiting: RunFolder) -> None:
    with pytest.raises(errors.DecisionRefusedError, match="no decision on paper was entered"):
        confirm(contoh, waiting)
    with pytest.raises(errors.DecisionRefusedError, match="no decision on paper was entered"):
        contoh.engine(waiting).decisions.withdraw("analis", "Alasan contoh", contoh.key("analis"))


def test_an_entry_can_be_withdrawn_and_another_one_entered(
    contoh: Office, entered: RunFolder, scan: Path
) -> None:
    contoh.engine(entered).decisions.withdraw("analis", "Salah lembar", contoh.key("analis"))
    with pytest.raises(errors.DecisionRefusedError, match="no decision on paper was entered"):
        confirm(contoh, entered)
    enter(contoh, entered, scan, outcome="dibatalkan")
    confirm(contoh, entered)
    assert [e["outcome"] for e in events_of(entered, "decision_made")] == ["dibatalkan"]
    verify.check_run(entered)


def test_withdrawing_needs_a_reason(contoh: Office, entered: RunFolder) -> None:
    with pytest.raises(errors.DecisionRefusedError, match="to withdraw needs a reason"):
        contoh.engine(entered).decisions.withdraw("analis", " ", contoh.key("analis"))


def test_a_later_entry_replaces_the_one_before(contoh: Office, entered: RunFolder, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"\x89PNG\r\n\x1a\n a better scan")
    enter(contoh, entered, other, outcome="periksa ulang")
    confirm(contoh, entered)
    assert [e["outcome"] for e in events_of(entered, "decision_made")] == ["periksa ulang"]
    assert (entered.path / "decisions" / "2-1-2.png").is_file()
    verify.check_run(entered)


def test_the_official_may_still_decide_with_his_own_key(contoh: Office, entered: RunFolder) -> None:
    contoh.decide(entered, "dibatalkan", "kabid")
    assert events_of(entered, "decision_made")[0]["paper"] is None
    with pytest.raises(errors.DecisionRefusedError, match="the run waits at no gate"):
        confirm(contoh, entered)
    verify.check_run(entered)


def test_a_paper_confirmed_on_a_later_day_stays_of_its_own_day(contoh: Office, entered: RunFolder) -> None:
    contoh.clock.advance(DAY)
    confirm(contoh, entered)
    assert events_of(entered, "decision_made")[0]["paper"]["date"] == TODAY.isoformat()
    verify.check_run(entered)


# Files ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "extension"), [(PDF, ".pdf"), (b"\xff\xd8\xff\xe0", ".jpg"), (b"\x89PNG\r\n\x1a\n", ".png")]
)
def test_a_scan_is_told_by_its_first_bytes(tmp_path: Path, content: bytes, extension: str) -> None:
    path = tmp_path / "scan.exe"
    path.write_bytes(content)
    assert read_scan(path) == (content, extension)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"<html>%PDF-", b"\x7fELF", b" %PDF-1.7"])
def test_what_is_no_scan_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "scan.pdf"
    path.write_bytes(content)
    with pytest.raises(errors.InputError, match="is no scan"):
        read_scan(path)


def test_a_scan_has_a_largest_size(tmp_path: Path) -> None:
    path = tmp_path / "scan.pdf"
    path.write_bytes(PDF.ljust(MAX_BYTES, b" "))
    assert len(read_scan(path)[0]) == MAX_BYTES
    path.write_bytes(PDF.ljust(MAX_BYTES + 1, b" "))
    with pytest.raises(errors.InputError, match="is larger than 20 MB"):
        read_scan(path)


def test_a_scan_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(errors.InputError, match="cannot be read: No such file"):
        read_scan(tmp_path / "scan.pdf")


# Forged -----------------------------------------------------------------------------------------------


def wrong(folder: RunFolder) -> str:
    with pytest.raises(errors.VerificationError) as caught:
        verify.check_run(folder)
    return str(caught.value)


def test_a_scan_exchanged_is_found_and_named(contoh: Office, confirmed: RunFolder) -> None:
    (confirmed.path / "decisions" / "2-1.pdf").write_bytes(PDF + b"!")
    assert wrong(confirmed) == "decisions/2-1.pdf: is not the file that the journal names"
    with pytest.raises(errors.VerificationError, match="is not the file that the journal names"):
        contoh.go_on(confirmed, {}, resumed=True)
    forge(confirmed.path, lambda _records: None)
    assert wrong(confirmed).startswith("decisions/2-1.json: does not fit the gate and the journal in 'paper'")


def test_a_decision_on_paper_that_nobody_confirmed_is_found(contoh: Office, entered: RunFolder) -> None:
    """Whoever writes the journal makes the entry a decision; its statement is still an entry's."""

    def decide(records: list[dict[str, Any]]) -> None:
        entry = find(records, "paper_entered")
        del entry["scan"], entry["entered_by"], entry["date"]
        entry.update(event="decision_made", paper=None)

    (entered.path / "decisions" / "2-1.pdf").unlink()
    forge(entered.path, decide)
    assert "decisions/2-1.json" in wrong(entered)
    with pytest.raises(errors.VerificationError):
        contoh.go_on(entered, {}, resumed=True)


def test_a_confirmation_by_the_operator_is_found(contoh: Office, confirmed: RunFolder) -> None:
    operator = contoh.roster.officials[0].person()
    forge(
        confirmed.path,
        lambda records: find(records, "decision_made")["paper"].update(confirmed_by=operator),
    )
    assert "may not confirm" in wrong(confirmed) or "entered this decision" in wrong(confirmed)


def test_the_gate_shows_what_waits_for_confirmation(entered: RunFolder) -> None:
    now = record.load(entered)
    assert now.state.gate is not None
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(gate_view(now.state.gate, now))
    shown = console.export_text()
    assert "on paper of 2026-11-21: disetujui, signed in wet ink by Nama Kabid (Kepala Contoh)" in shown
    assert "a second person looks at the scan and confirms" in shown
