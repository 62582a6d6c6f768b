"""Officials with dates and deputies: who may decide on a day, as what, and what stays of it in the record."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from fakes import build_document

from runner import errors, record, verify
from runner.engine import Waiting
from runner.officials import Roster, Validity
from runner.sop import parse_sop
from runner.start import warnings
from runner.workspace import RunFolder
from scenarios.forgery import forge
from scenarios.office import DAY, PLH, Office, events_of, while_signing, with_deputy

LETTER = PLH["letter"]


def with_days(roster: Roster, official: str, **days: str) -> Roster:
    officials = [
        o.model_copy(update={"valid": Validity.model_validate(days)}) if o.id == official else o
        for o in roster.officials
    ]
    return roster.model_copy(update={"officials": officials})


def waiting(office: Office) -> RunFolder:
    folder = office.start()
    assert isinstance(office.go_on(folder, {}), Waiting)
    return folder


def refused(office: Office, folder: RunFolder, official: str) -> str:
    with pytest.raises(errors.DecisionRefusedError) as caught:
        office.decide(folder, "disetujui", official)
    return str(caught.value)


def test_a_deputy_decides_and_record_and_statement_say_by_which_letter(contoh: Office) -> None:
    contoh.roster = with_deputy(contoh.roster)
    folder = waiting(contoh)
    contoh.decide(folder, "disetujui", "analis")
    made = events_of(folder, "decision_made")[0]
    said = json.loads(folder.statement(2, 1).read_bytes())
    assert made["person"]["deputy"] == said["person"]["deputy"] == {"kind": "Plh", "letter": LETTER}
    verify.check_run(folder)


def test_a_deputy_no_longer_decides_the_day_after(contoh: Office) -> None:
    contoh.roster = with_deputy(contoh.roster)
    folder = waiting(contoh)
    contoh.clock.advance(3 * DAY)
    told = "Nama Analis stands in for Kepala Contoh from 2026-11-21 until 2026-11-23, not on 2026-11-24"
    assert refused(contoh, folder, "analis") == told


def test_a_deputy_whose_last_day_ends_while_he_signs_does_not_decide(
    contoh: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    contoh.roster = with_deputy(contoh.roster, until="2026-11-21")
    folder = waiting(contoh)
    while_signing(monkeypatch, lambda: contoh.clock.advance(DAY))
    assert "not on 2026-11-22" in refused(contoh, folder, "analis")
    assert events_of(folder, "decision_made") == []


def test_the_deputised_official_decides_too_and_in_his_own_position(contoh: Office) -> None:
    contoh.roster = with_deputy(contoh.roster)
    folder = waiting(contoh)
    contoh.decide(folder, "disetujui", "kabid")
    assert events_of(folder, "decision_made")[0]["person"]["deputy"] is None


def test_a_deputy_operating_the_run_does_not_decide(contoh: Office) -> None:
    contoh.roster = with_deputy(contoh.roster)
    folder = contoh.start(operator="analis")
    contoh.go_on(folder, {})
    assert refused(contoh, folder, "analis") == "Nama Analis operates this run and may not decide its gates"


def test_a_record_that_makes_a_deputy_definitive_is_found(contoh: Office) -> None:
    contoh.roster = with_deputy(contoh.roster)
    folder = waiting(contoh)
    contoh.decide(folder, "disetujui", "analis")

    def lie(records: list[dict[str, Any]]) -> None:
        next(r for r in records if r["event"] == "decision_made")["person"]["deputy"] = None

    forge(folder.path, lie)
    with pytest.raises(errors.VerificationError, match="decision_made: person is"):
        verify.check_run(folder)


# Starting ---------------------------------------------------------------------------------------------


def test_a_gate_that_nobody_may_ever_decide_again_stops_the_start(contoh: Office) -> None:
    contoh.roster = with_days(contoh.roster, "kabid", until="2026-11-20")
    with pytest.raises(errors.InputError, match="row 2 waits for Kepala Contoh, but nobody holds"):
        contoh.start()


def test_a_gate_that_somebody_may_decide_later_warns(contoh: Office) -> None:
    contoh.roster = with_days(contoh.roster, "kabid", **{"from": "2026-12-01"})
    folder = contoh.start()
    now = record.load(folder)
    today = now.roster.day(now.started.instant.at)
    (told,) = warnings(now.sop, now.roster, now.roster.officials[0], today)
    assert told.startswith("row 2 waits for Kepala Contoh, and nobody may decide there today (2026-11-21)")


def test_a_deputy_to_come_is_somebody(contoh: Office) -> None:
    old = with_days(contoh.roster, "kabid", until="2026-11-20")
    contoh.roster = with_deputy(old, **{"from": "2026-12-01", "until": "2026-12-02"})
    assert contoh.start().path.is_dir()


def test_who_decides_today_makes_no_warning(contoh: Office) -> None:
    sop = parse_sop(contoh.sop_text, contoh.sop_name)
    today = contoh.roster.day(contoh.clock.now().at)
    assert warnings(sop, contoh.roster, contoh.roster.officials[0], today) == []


def test_an_operator_of_other_days_starts_nothing(contoh: Office) -> None:
    contoh.roster = with_days(contoh.roster, "pengelola", until="2026-11-20")
    with pytest.raises(errors.InputError, match="an official until 2026-11-20, not on 2026-11-21"):
        contoh.start()


# Later ------------------------------------------------------------------------------------------------


def test_what_becomes_of_an_official_later_changes_nothing_of_a_run(contoh: Office, tmp_path: Path) -> None:
    """Row 33: expired, renamed, deleted; the run stands on its own copy of the roster."""
    contoh.roster = with_deputy(contoh.roster)
    folder = waiting(contoh)
    contoh.decide(folder, "disetujui", "analis")
    contoh.go_on(folder, {}, resumed=True)
    before = {path.name: path.read_bytes() for path in folder.documents.iterdir()}

    for number, officials in enumerate(
        ([], [contoh.roster.officials[1].model_copy(update={"name": "Nama Baru"})])
    ):
        contoh.roster = Roster(office="Dinas Contoh", officials=officials)
        moved = RunFolder(Path(shutil.copytree(folder.path, tmp_path / str(number) / folder.name)))
        shutil.rmtree(moved.documents)
        now = record.load(moved)
        for event in now.state.documents:
            output = next(o for o in now.sop.step(event["step"]).documents if o.version == event["version"])
            build_document(now, output, event["step"], event["attempt"], event["as_of"])
        assert {path.name: path.read_bytes() for path in moved.documents.iterdir()} == before
        verify.check_run(moved)
