"""Forms in a run: who fills them in, what is recorded, what is refused, and that nothing can be forged."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner import errors, journal, record, verify
from runner.engine import Unfilled, Waiting
from runner.filling import Filled
from runner.forms import read_form
from runner.officials import Deputy, Roster
from runner.workspace import RunFolder
from scenarios.forgery import Record, find, forge
from scenarios.office import Office, events_of
from scenarios.palembang import ANSWERS, SICK, filled_in

PDF = b"%PDF-1.7 a made-up offer"
PLH = {
    "official": "analis",
    "position": "Kasubbag Adum",
    "kind": "Plh",
    "from": "2026-11-01",
    "until": "2026-11-30",
    "letter": "800/12/2026",
}


@pytest.fixture
def paper(tmp_path: Path) -> Path:
    """Return a paper that can be attached."""
    path = tmp_path / "penawaran.pdf"
    path.write_bytes(PDF)
    return path


@pytest.fixture
def waiting(palembang: Office) -> RunFolder:
    """Return a run that waits for its first form, the assignment of row 1."""
    folder = palembang.start()
    assert isinstance(palembang.go_on(folder, {}), Unfilled)
    return folder


def at_row_five(office: Office) -> RunFolder:
    """Return a run that waits for the proposal of row 5."""
    office.playbooks.answer(2, "1", {"web1": SICK})
    office.playbooks.answer(4, "1", {"web1": SICK})
    folder = office.start()
    stop = office.go_on(folder, {1: ["ditugaskan"]}, filled_in(1, 4))
    assert isinstance(stop, Unfilled)
    assert stop.awaited["step"] == 5
    return folder


def deputised(office: Office) -> Roster:
    """Return the office's roster with a deputy of the Kasubbag Adum."""
    return office.roster.model_copy(update={"deputies": [Deputy.model_validate(PLH)]})


def verified(folder: RunFolder) -> None:
    verify.check_run(folder)


# Waiting and filling in --------------------------------------------------------------------------------


def test_a_row_with_a_form_waits_for_it_and_does_nothing_else(palembang: Office, waiting: RunFolder) -> None:
    awaited = events_of(waiting, "form_awaited")
    assert [(e["step"], e["form"], e["position"], e["signed"]) for e in awaited] == [
        (1, "penugasan", "Kasubbag Adum", True)
    ]
    assert palembang.playbooks.requests == []
    verified(waiting)


def test_resuming_a_run_that_waits_for_a_form_waits_on(palembang: Office, waiting: RunFolder) -> None:
    assert isinstance(palembang.go_on(waiting, {}, resumed=True), Unfilled)
    assert len(events_of(waiting, "form_awaited")) == 1


def test_a_filled_form_opens_the_gate_at_which_it_is_signed(palembang: Office, waiting: RunFolder) -> None:
    palembang.fill(waiting, ANSWERS["penugasan"])
    now = record.load(waiting)
    assert now.state.gate is not None
    assert now.state.gate.position == "Kasubbag Adum"
    assert now.form(now.state.forms.filled[0])["answers"] == ANSWERS["penugasan"]
    verified(waiting)


def test_the_gate_is_about_the_filled_form(palembang: Office, waiting: RunFolder) -> None:
    palembang.fill(waiting, ANSWERS["penugasan"])
    evidence = record.load(waiting).state.evidence
    assert [entry["path"] for entry in evidence] == ["forms/1-1.json"]


def test_the_official_himself_may_fill_it_in_and_is_recorded_so(
    palembang: Office, waiting: RunFolder
) -> None:
    made = palembang.fill(waiting, ANSWERS["penugasan"], "kabid")
    assert (made["person"]["id"], made["person"]["position"]) == ("kabid", "Kasubbag Adum")


def test_one_outcome_is_enough_where_a_form_is_signed(palembang: Office, waiting: RunFolder) -> None:
    palembang.fill(waiting, ANSWERS["penugasan"])
    palembang.decide(waiting, "ditugaskan", "kabid", "")
    assert isinstance(palembang.go_on(waiting, {}, resumed=True), Waiting)


def test_a_form_can_be_filled_in_anew_until_it_is_signed(palembang: Office, waiting: RunFolder) -> None:
    palembang.fill(waiting, ANSWERS["penugasan"])
    first = record.load(waiting).state.gate
    better = {**ANSWERS["penugasan"], "catatan": "Termasuk jaringan."}
    palembang.fill(waiting, better)
    now = record.load(waiting)
    assert first is not None
    assert now.state.gate is not None
    assert first.subject != now.state.gate.subject
    assert now.form(now.state.forms.filled[-1])["answers"] == better
    assert [e["path"] for e in now.state.evidence] == ["forms/1-1.json", "forms/1-1-2.json"]
    palembang.decide(waiting, "ditugaskan", "kabid", "")
    verified(waiting)


def test_after_the_signature_it_is_not_filled_in_again(palembang: Office, waiting: RunFolder) -> None:
    palembang.fill(waiting, ANSWERS["penugasan"])
    palembang.decide(waiting, "ditugaskan", "kabid", "")
    with pytest.raises(errors.InputError, match="waits for no form"):
        palembang.fill(waiting, ANSWERS["penugasan"])


def test_the_total_is_computed_and_recorded(palembang: Office) -> None:
    folder = at_row_five(palembang)
    palembang.fill(folder, ANSWERS["usulan"])
    now = record.load(folder)
    assert now.form(now.state.forms.filled[-1])["totals"] == {"rincian": 2 * 1_250_000 + 350_000}


def test_attachments_are_hashed_into_the_run(palembang: Office, paper: Path) -> None:
    folder = at_row_five(palembang)
    made = palembang.fill(folder, ANSWERS["usulan"], attachments=[paper, paper])
    paths = [file["path"] for file in made["files"]]
    assert paths == ["forms/5-1.json", "forms/5-1-attachment-1.pdf", "forms/5-1-attachment-2.pdf"]
    assert (folder.path / paths[1]).read_bytes() == PDF
    attached = record.load(folder).form(made)["attachments"]
    assert [(a["name"], a["bytes"]) for a in attached] == [("penawaran.pdf", len(PDF))] * 2
    assert (folder.path / paths[1]).stat().st_mode & 0o777 == 0o600
    verified(folder)


def test_a_run_that_waits_for_a_form_can_be_stopped(palembang: Office, waiting: RunFolder) -> None:
    closed = palembang.engine(waiting).stop("kabid", "Ditunda")
    assert (closed.outcome, closed.reason) == ("ended", "stopped by Nama Kabid: Ditunda")
    verified(waiting)


def test_an_official_may_be_changed_while_a_form_is_awaited(palembang: Office, waiting: RunFolder) -> None:
    palembang.change_roster(waiting, deputised(palembang), "pranata")
    made = palembang.fill(waiting, ANSWERS["penugasan"], "analis")
    assert made["person"]["deputy"]["kind"] == "Plh"
    verified(waiting)


# What is refused ---------------------------------------------------------------------------------------


def test_nobody_fills_in_the_form_of_anothers_row(palembang: Office, waiting: RunFolder) -> None:
    before = waiting.journal.read_bytes()
    for who in ("pranata", "analis", "stranger"):
        with pytest.raises(errors.InputError, match="was not filled in"):
            palembang.fill(waiting, ANSWERS["penugasan"], who)
    assert waiting.journal.read_bytes() == before
    assert not (waiting.path / "forms").exists()


def test_nobody_but_who_does_the_row_fills_in_a_form_that_nobody_signs(palembang: Office) -> None:
    palembang.playbooks.answer(2, "1", {"web1": SICK})
    folder = palembang.start()
    palembang.go_on(folder, {1: ["ditugaskan"]}, filled_in(1))
    with pytest.raises(errors.InputError, match="does not hold Staf TI"):
        palembang.fill(folder, ANSWERS["perbaikan"], "kabid")


def test_a_run_whose_operator_does_not_hold_the_rows_of_his_forms_is_not_started(palembang: Office) -> None:
    with pytest.raises(errors.InputError, match=r"row 4 has a form that nobody signs.*does not hold Staf TI"):
        palembang.start(operator="analis")


@pytest.mark.parametrize("content", [b"", b"#!/bin/sh", b"PK\x03\x04"])
def test_an_attachment_that_is_no_paper_is_refused_by_its_content(
    palembang: Office, paper: Path, content: bytes
) -> None:
    folder = at_row_five(palembang)
    paper.write_bytes(content)
    before = folder.journal.read_bytes()
    with pytest.raises(errors.InputError, match="is no attachment"):
        palembang.fill(folder, ANSWERS["usulan"], attachments=[paper])
    assert folder.journal.read_bytes() == before


def test_a_form_that_takes_no_attachments_is_not_given_any(
    palembang: Office, waiting: RunFolder, paper: Path
) -> None:
    with pytest.raises(errors.InputError, match="takes no attachments"):
        palembang.fill(waiting, ANSWERS["penugasan"], attachments=[paper])


def test_an_attachments_name_cannot_steer_a_screen(palembang: Office, paper: Path) -> None:
    folder = at_row_five(palembang)
    odd = paper.rename(paper.with_name("\x1b[2J\u202efdp.pdf"))
    made = palembang.fill(folder, ANSWERS["usulan"], attachments=[odd])
    assert record.load(folder).form(made)["attachments"][0]["name"].isprintable()


# Forging -----------------------------------------------------------------------------------------------


@pytest.fixture
def filled_run(palembang: Office, paper: Path, tmp_path: Path) -> Path:
    """Return a copy of a run that waits at the gate of row 5, its proposal filled in with an offer."""
    folder = at_row_five(palembang)
    palembang.fill(folder, ANSWERS["usulan"], attachments=[paper])
    verified(folder)
    return Path(shutil.copytree(folder.path, tmp_path / "runs" / folder.name))


def wrong(run: Path) -> str:
    with pytest.raises(errors.VerificationError) as caught:
        verify.check_run(RunFolder(run))
    return caught.value.path


def rewrite(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    said = json.loads(path.read_bytes())
    change(said)
    path.write_bytes(json.dumps(said, sort_keys=True, separators=(",", ":")).encode() + b"\n")


ALTERED: dict[str, Callable[[dict[str, Any]], None]] = {
    "a smaller total": lambda said: said["totals"].update(rincian=1),
    "an answer of another type": lambda said: said["answers"].update(dasar=["x"]),
    "an answer left out": lambda said: said["answers"].pop("dasar"),
    "a field more": lambda said: said["answers"].update(lain="x"),
    "another person": lambda said: said["person"].update(name="Nama Lain"),
    "another row": lambda said: said.update(step=1),
    "an attachment denied": lambda said: said.update(attachments=[]),
    "an attachment's digest": lambda said: said["attachments"][0].update(sha256="0" * 64),
    "a key more": lambda said: said.update(extra=1),
}


@pytest.mark.parametrize("what", ALTERED)
def test_an_altered_form_is_found_though_every_hash_fits(filled_run: Path, what: str) -> None:
    # The gate after it is about the evidence: forged along with it, so that only the form itself tells.
    rewrite(filled_run / "forms" / "5-1.json", ALTERED[what])

    def cut_the_gate(records: list[Record]) -> None:
        del records[-1]

    forge(filled_run, cut_the_gate)
    assert wrong(filled_run) == "forms/5-1.json"


def test_an_altered_amount_no_longer_fits_the_gate(filled_run: Path) -> None:
    rewrite(filled_run / "forms" / "5-1.json", lambda said: said["answers"]["rincian"][0].update(harga=1))
    forge(filled_run, lambda _records: None)
    assert wrong(filled_run).startswith("journal.jsonl:")


def test_an_altered_attachment_is_named(filled_run: Path) -> None:
    (filled_run / "forms" / "5-1-attachment-1.pdf").write_bytes(b"%PDF another")
    assert wrong(filled_run) == "forms/5-1-attachment-1.pdf"


ANALIS = {"id": "analis", "name": "Nama Analis", "nip": f"{2:018d}", "position": "Staf Lain", "deputy": None}
FORGED: dict[str, Callable[[list[Record]], None]] = {
    "filled in by another": lambda r: find(r, "form_filled", step=5)["person"].update(id="analis"),
    "filled in by somebody who may not": lambda r: find(r, "form_filled", step=5).update(person=ANALIS),
    "of another row": lambda r: find(r, "form_filled", step=5).update(step=1),
    "another form": lambda r: find(r, "form_filled", step=5).update(form="penugasan"),
    "in another place": lambda r: find(r, "form_filled", step=5)["files"][0].update(path="sop.yml"),
    "awaited as nobody's to sign": lambda r: find(r, "form_awaited", step=5).update(signed=False),
    "awaited of another": lambda r: find(r, "form_awaited", step=5).update(position="Staf TI"),
    "never awaited": lambda r: r.remove(find(r, "form_awaited", step=5)),
    "never filled in": lambda r: r.remove(find(r, "form_filled", step=5)),
    "filled in twice after the signature": lambda r: r.insert(
        r.index(find(r, "decision_made", step=1)) + 1, dict(find(r, "form_filled", step=1))
    ),
    "a disturbance denied": lambda r: find(r, "action_finished", step=4, part="1").update(disturbed=[]),
    "a disturbance made up": lambda r: find(r, "action_finished", step=2).update(disturbed=["db1", "web1"]),
    "a disturbance of no host": lambda r: find(r, "action_finished", step=2).update(disturbed=["x", "web1"]),
}


@pytest.mark.parametrize("what", FORGED)
def test_a_forged_record_of_a_form_is_found(filled_run: Path, what: str) -> None:
    forge(filled_run, FORGED[what])
    assert wrong(filled_run).partition(":")[0] in {"journal.jsonl", "evidence/4-1-1/web1.json"} | {
        "evidence/2-1-1/db1.json"
    }


def test_what_a_cut_off_writer_left_is_no_part_of_the_record(palembang: Office) -> None:
    folder = at_row_five(palembang)
    (folder.path / "forms" / "5-1-attachment-1.pdf").write_bytes(PDF)
    (folder.path / "forms" / ".5-1.json.partial").write_bytes(b"{")
    verified(folder)
    palembang.fill(folder, ANSWERS["usulan"])
    verified(folder)
    (folder.path / "forms" / "9-1.json").write_bytes(b"{}")
    assert wrong(folder.path) == "forms/9-1.json"


# Times -------------------------------------------------------------------------------------------------


def test_a_form_that_an_official_signs_is_waiting_and_ones_own_is_work(palembang: Office) -> None:
    palembang.playbooks.answer(2, "1", {"web1": SICK})
    folder = palembang.start()
    palembang.go_on(folder, {})
    palembang.clock.advance(3600)
    palembang.fill(folder, ANSWERS["penugasan"])
    palembang.go_on(folder, {1: ["ditugaskan"]}, resumed=True)
    palembang.clock.advance(1800)
    palembang.fill(folder, ANSWERS["perbaikan"])
    palembang.go_on(folder, {}, resumed=True)
    times = {time.step: time for time in record.load(folder).times}
    assert [wait.position for wait in times[1].waits if wait.seconds >= 3600] == ["Kasubbag Adum"]
    assert times[1].work < 60
    assert 1800 <= times[4].work < 1900


# From a file -------------------------------------------------------------------------------------------


def test_every_problem_of_a_file_is_named_with_its_line(palembang: Office) -> None:
    text = (
        "dasar: ''\nrincian:\n  - uraian: Disk\n    jumlah: dua\n    harga: 1.5\n  - jumlah: 1\n"
        "    warna: merah\n    harga: Rp 10.000\ndibutuhkan: besok\nlain: x\n"
    )
    with pytest.raises(errors.InputError) as caught:
        read_form(palembang.sop.forms["usulan"], text, "form.yml")
    lines = str(caught.value).splitlines()
    assert [line.split(":")[1] for line in lines] == ["1", "4", "5", "6", "7", "9", "10"]
    assert "form.yml:5: Rincian usulan anggaran, row 1, Harga satuan: expected an amount such as" in str(
        caught.value
    )


def test_a_form_typed_at_the_prompt_is_recorded_as_one_from_a_file(palembang: Office) -> None:
    folder = palembang.start()
    stop = palembang.go_on(folder, {1: ["ditugaskan"]}, {1: Filled("kabid", ANSWERS["penugasan"])})
    assert stop is not None
    assert [e.name for e in journal.read(folder.journal)][1:5] == [
        "step_started",
        "form_awaited",
        "form_filled",
        "gate_opened",
    ]
