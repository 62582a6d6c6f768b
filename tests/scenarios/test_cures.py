"""Known disturbances are cured in a row of a SOP, whole runs with fakes: only what somebody signed for."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from runner import errors, record, report, verify
from runner.engine import Closed, Shut, Unfilled
from runner.executors.base import ActionRequest, Failure, HostResult
from runner.filling import Filled
from runner.repair_sentences import NAMES
from runner.run_view import document_view
from runner.windows import parse_windows
from runner.workspace import RunFolder
from scenarios.forgery import Record, find, forge
from scenarios.office import DAY, Office, events_of, rows_finished
from scenarios.palembang import ANSWERS, SICK, filled_in

ASSIGNED = {1: ["ditugaskan"]}
WHOLE = ASSIGNED | {11: ["diterima"]}
UNIT = {
    "id": "unit_dead:lab-good.service:start_unit",
    "code": "unit_dead",
    "subject": "lab-good.service",
    "found": {"state": "failed"},
    "cure": "start_unit",
    "does": {"unit": "lab-good.service"},
    "risk": "low",
    "needs": [],
    "reason": "",
    "detail": "",
}
DISK = UNIT | {
    "id": "disk_full:/srv:clean_package_cache",
    "code": "disk_full",
    "subject": "/srv",
    "found": {"percent": 99, "inodes_percent": 3},
    "cure": "clean_package_cache",
    "does": {"files": [], "bytes": 0},
}
MASKED = UNIT | {"id": "unit_dead:x.service:", "subject": "x.service", "cure": "", "reason": "unit_masked"}
DONE = {
    "id": UNIT["id"],
    "code": "unit_dead",
    "subject": "lab-good.service",
    "cure": "start_unit",
    "outcome": "done",
    "proof": {"state": "active", "enabled": "enabled"},
    "seconds": 1.5,
}


def looked(host: str, *repairs: Mapping[str, Any]) -> HostResult:
    return HostResult(host, "ok", {"repair_host": {"outcome": "looked", "repairs": list(repairs)}})


def cured(host: str, *done: Mapping[str, Any]) -> HostResult:
    return HostResult(host, "ok", {"repair_host": {"outcome": "repaired", "cures": list(done)}})


def assigned(*allowed: str) -> Mapping[int, Filled]:
    """Return the forms of a run whose assignment allows these cures, and what Staf TI writes at row 4."""
    answers = dict(ANSWERS["penugasan"])
    if allowed:
        answers["perbaikan"] = [name for code, name in NAMES.items() if code in allowed]
    return filled_in(4) | {1: Filled("pengelola", answers)}


def sick(office: Office, *repairs: Mapping[str, Any]) -> Office:
    """Let web1 be disturbed, and have these repairs proposed for it."""
    office.playbooks.answer(2, "1", {"web1": SICK})
    office.playbooks.answer(4, "propose", {"web1": looked("web1", *repairs)})
    office.playbooks.answer(4, "cure", {"web1": cured("web1", DONE)})
    return office


def go(office: Office, *allowed: str) -> RunFolder:
    folder = office.start()
    closed = office.go_on(folder, WHOLE, assigned(*allowed))
    assert isinstance(closed, Closed), closed
    verify.check_run(folder)
    return folder


def parts(office: Office) -> list[str]:
    return [request.part for request in office.playbooks.requests if request.step == 4]


def asked(office: Office, part: str) -> ActionRequest:
    return next(request for request in office.playbooks.requests if request.part == part)


def document(folder: RunFolder, name: str) -> str:
    """Return the newest version of a document as its reader sees it."""
    now = record.load(folder)
    made = [event for event in now.events if event.name == "document_written" and event["document"] == name]
    at = [made[-1][key] for key in ("document", "version", "step", "attempt", "as_of")]
    return " ".join(report.render_html(document_view(now, *at)).split())


def test_what_the_assignment_allows_is_done_and_nobody_is_asked_for_a_form(palembang: Office) -> None:
    folder = go(sick(palembang, UNIT), "start_unit")
    assert rows_finished(folder)[2:5] == [(3, "YA"), (4, "diperbaiki"), (9, None)]
    assert parts(palembang) == ["propose", "cure", "cured"]
    assert [e["step"] for e in events_of(folder, "form_awaited")] == [1]
    assert [e["kind"] for e in events_of(folder, "action_skipped")] == ["form"]
    cure = asked(palembang, "cure")
    assert (cure.hosts, cure.allowed_cures, cure.changes) == (("web1",), ("start_unit",), True)
    assert cure.playbook == palembang.root / "playbooks" / "repair-hosts.yml"
    assert cure.claim["run"] == folder.name


def test_a_cure_is_given_exactly_what_was_proposed_and_allowed(palembang: Office) -> None:
    told: dict[str, Any] = {}

    def read(request: ActionRequest) -> None:
        if request.part == "cure" and request.plan:
            told.update(json.loads(request.plan.read_bytes()))

    palembang.playbooks.before = read
    go(sick(palembang, UNIT, DISK, MASKED), "start_unit")
    assert told["hosts"] == {"web1": {"repairs": [UNIT]}}
    assert told["allowed_cures"] == ["start_unit"]
    assert told["left"] == {
        "web1": [{"id": DISK["id"], "why": "not_allowed"}, {"id": MASKED["id"], "why": "no_cure"}]
    }


@pytest.mark.parametrize("allowed", [[], ["remove_lock"]], ids=["nothing", "something else"])
def test_what_is_not_allowed_is_proposed_and_not_done(palembang: Office, allowed: list[str]) -> None:
    folder = go(sick(palembang, UNIT), *allowed)
    assert parts(palembang) == ["propose", "1"]
    assert not [e for e in events_of(folder, "action_started") if e["changes"]]
    assert [e["hosts"] for e in events_of(folder, "repairs_proposed")] == [[]]
    told = document(folder, "laporan-perbaikan")
    assert "Layanan lab-good.service: gagal berjalan, padahal seharusnya berjalan." in told
    assert "<b>Tidak dilakukan</b>: tidak diizinkan dalam penugasan yang ditandatangani." in told


def test_without_the_field_filled_in_nothing_is_allowed(palembang: Office) -> None:
    folder = sick(palembang, UNIT).start()
    palembang.go_on(folder, WHOLE, filled_in(1, 4))
    assert "cure" not in parts(palembang)


def test_who_is_still_disturbed_after_the_cure_goes_the_other_way(palembang: Office) -> None:
    sick(palembang, UNIT)
    for part in ("cured", "1"):
        palembang.playbooks.answer(4, part, {"web1": SICK})
    folder = palembang.start()
    palembang.go_on(folder, ASSIGNED, assigned("start_unit"))
    assert parts(palembang) == ["propose", "cure", "cured", "1"]
    assert rows_finished(folder)[-1] == (4, "tidak dapat")


def test_after_a_cure_only_who_is_still_disturbed_is_looked_at_again(palembang: Office) -> None:
    sick(palembang, UNIT).playbooks.answer(2, "1", {"web1": SICK, "db1": "unreachable"})
    palembang.playbooks.answer(4, "cured", {"db1": "unreachable"})
    folder = go(palembang, "start_unit")
    assert palembang.playbooks.hosts_of(4, "cured") == ("db1", "web1")
    assert palembang.playbooks.hosts_of(4, "1") == ("db1",)
    assert rows_finished(folder)[3] == (4, "diperbaiki")


def test_a_host_that_was_not_looked_at_is_not_cured_and_is_named(palembang: Office) -> None:
    palembang.playbooks.answer(2, "1", {"web1": SICK, "db1": SICK})
    silent = HostResult("db1", "unreachable", {}, Failure("", "no answer"))
    palembang.playbooks.answer(4, "propose", {"web1": looked("web1", UNIT), "db1": silent})
    palembang.playbooks.answer(4, "cure", {"web1": cured("web1", DONE)})
    folder = go(palembang, "start_unit")
    assert asked(palembang, "cure").hosts == ("web1",)
    assert "Tidak dapat dicari gangguan yang dikenal pada: db1." in document(folder, "laporan-perbaikan")


def test_where_only_services_are_disturbed_nothing_is_proposed(palembang: Office) -> None:
    palembang.groups = {**palembang.groups, "websites": ["web1"]}
    go(sick(palembang, UNIT), "start_unit")
    assert parts(palembang) == ["1"]


def test_documents_say_what_was_proposed_done_and_proven(palembang: Office) -> None:
    folder = go(sick(palembang, UNIT, DISK, MASKED), "start_unit")
    for name in ("laporan-perbaikan", "laporan-pemeliharaan"):
        told = document(folder, name)
        for words in (
            "Menyalakan lab-good.service (risiko rendah).",
            "Menyalakan layanan, lab-good.service: sudah diperbaiki dan terbukti.",
            "Dilihat kembali: keadaan: berjalan, ikut menyala bersama komputer: ya.",
            "Disk /srv: penuh: ruang terpakai 99%, jumlah berkas 3%.",
            "tidak diizinkan dalam penugasan yang ditandatangani",
            "layanan sengaja dimatikan (masked) oleh pengelola",
            "<b>Tidak dilakukan</b>: harus ditangani orang.",
        ):
            assert words in told, (name, words)
    assert "Tidak diperlukan: setelah perbaikan di atas" in document(folder, "laporan-perbaikan")


def test_a_cure_of_which_nothing_was_told_is_unknown(palembang: Office) -> None:
    sick(palembang, UNIT).playbooks.answer(4, "cure", {"web1": "unknown"})
    folder = go(palembang, "start_unit")
    assert "<b>Tidak diketahui</b>: tindakan dimulai" in document(folder, "laporan-perbaikan")


def test_a_proposal_for_the_budget_names_what_was_not_done(palembang: Office) -> None:
    sick(palembang, UNIT, DISK)
    for part in ("cured", "1"):
        palembang.playbooks.answer(4, part, {"web1": SICK})
    folder = palembang.start()
    palembang.go_on(folder, WHOLE | {5: ["diajukan"], 6: ["ditolak"]}, assigned("start_unit") | filled_in(5))
    told = document(folder, "usulan-anggaran")
    assert "Disk /srv" in told
    assert "sudah diperbaiki dan terbukti" not in told


# When, and on whose word ------------------------------------------------------------------------------


class CutOff(RuntimeError):  # noqa: N818 - no error of the program: the machine died
    """The runner died amid a cure."""


def test_a_cure_that_was_cut_off_is_joined_under_the_same_name(palembang: Office) -> None:
    folder = sick(palembang, UNIT).start()

    def die(request: ActionRequest) -> None:
        if request.part == "cure":
            raise CutOff

    palembang.playbooks.before = die
    with pytest.raises(CutOff):
        palembang.go_on(folder, WHOLE, assigned("start_unit"))
    palembang.playbooks.before = lambda _request: None
    assert isinstance(palembang.go_on(folder, WHOLE, assigned("start_unit"), resumed=True), Closed)
    verify.check_run(folder)
    tries = [request for request in palembang.playbooks.requests if request.part == "cure"]
    assert [(t.step, t.attempt, t.allowed_cures) for t in tries] == [(4, 1, ("start_unit",))] * 2


def test_an_assignment_that_has_expired_is_asked_for_again(palembang: Office) -> None:
    folder = sick(palembang, UNIT).start()

    def a_week_later(request: ActionRequest) -> None:
        if request.part == "propose":
            palembang.clock.advance(8 * DAY)

    palembang.playbooks.before = a_week_later
    stopped = palembang.go_on(folder, {1: ["ditugaskan"]}, {1: assigned("start_unit")[1]})
    assert "cure" not in parts(palembang)
    assert not isinstance(stopped, Closed)
    assert [e["step"] for e in events_of(folder, "decision_lapsed")] == [1]
    verify.check_run(folder)


def test_a_cure_waits_for_the_office_s_window_and_a_look_does_not(palembang: Office) -> None:
    palembang.windows = parse_windows('windows:\n  - {days: [minggu], from: "01:00", until: "02:00"}\n', "w")
    folder = sick(palembang, UNIT).start()
    stopped = palembang.go_on(folder, WHOLE, assigned("start_unit"))
    assert isinstance(stopped, Shut)
    assert parts(palembang) == ["propose"]
    verify.check_run(folder)


# Forging ----------------------------------------------------------------------------------------------


@pytest.fixture
def run(palembang: Office, tmp_path: Path) -> Path:
    """Return a copy of a run that was cured and is at row 4's end, with a cure that was not allowed."""
    folder = sick(palembang, UNIT, DISK).start()
    palembang.go_on(folder, ASSIGNED, assigned("start_unit"))
    verify.check_run(folder)
    return Path(shutil.copytree(folder.path, tmp_path / "runs" / folder.name))


def allow_more(proposed: dict[str, Any]) -> None:
    proposed["allowed_cures"].append("clean_package_cache")
    proposed["hosts"]["web1"]["repairs"].append(DISK)
    proposed["left"] = {}


def rewrite(run: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = run / "plans" / "4-1-repairs.json"
    said = json.loads(path.read_bytes())
    change(said)
    path.write_bytes(json.dumps(said, sort_keys=True, separators=(",", ":")).encode() + b"\n")


def again(run: Path, number: int) -> Path:
    """Return a copy of a run, to be altered."""
    return Path(shutil.copytree(run, run.parent.parent / str(number) / run.name))


def wrong(run: Path) -> str:
    with pytest.raises(errors.VerificationError) as caught:
        verify.check_run(RunFolder(run))
    return caught.value.path


FILES: dict[str, Callable[[dict[str, Any]], None]] = {
    "more is allowed": allow_more,
    "another unit": lambda said: said["hosts"]["web1"]["repairs"][0]["does"].update(unit="other.service"),
    "another host": lambda said: said["hosts"].update(db1=said["hosts"].pop("web1")),
    "what is left denied": lambda said: said.update(left={}),
    "another form": lambda said: said["form"].update(path="forms/4-1.json"),
}


def test_an_altered_proposal_is_found_though_every_hash_fits(run: Path) -> None:
    for number, (what, change) in enumerate(FILES.items()):
        copy = again(run, number)
        rewrite(copy, change)
        forge(copy, lambda _records: None)
        assert wrong(copy) == "plans/4-1-repairs.json", what


def drop_the_look(records: list[Record]) -> None:
    for name in ("action_started", "action_finished"):
        records.remove(find(records, name, part="cured"))


RECORDS: dict[str, Callable[[list[Record]], None]] = {
    "more is allowed": lambda r: find(r, "repairs_proposed")["allowed"].append("clean_package_cache"),
    "another host": lambda r: find(r, "repairs_proposed").update(hosts=["web1", "db1"]),
    "never proposed": lambda r: r.remove(find(r, "repairs_proposed")),
    "no change": lambda r: find(r, "action_started", part="cure").update(changes=False),
    "cured elsewhere": lambda r: find(r, "action_started", part="cure").update(hosts=["db1"]),
    "never looked at again": drop_the_look,
    "a form denied for another reason": lambda r: find(r, "action_skipped").update(reason="nobody was there"),
    "never signed": lambda r: r.remove(find(r, "decision_made", step=1)),
}


def test_a_forged_record_of_a_cure_is_found(run: Path) -> None:
    for number, (what, change) in enumerate(RECORDS.items()):
        copy = again(run, number)
        forge(copy, change)
        assert wrong(copy).partition(":")[0] == "journal.jsonl", what


def test_a_proposal_in_another_place_is_found(run: Path) -> None:
    (run / "plans" / "4-1-repairs.json").rename(run / "plans" / "4-1.json")
    forge(run, lambda r: find(r, "repairs_proposed").update(path="plans/4-1.json"))
    assert wrong(run).partition(":")[0] == "journal.jsonl"


def test_nothing_is_done_on_a_proposal_that_nobody_signed_for(palembang: Office) -> None:
    folder = sick(palembang, UNIT, DISK).start()

    def forge_and_die(request: ActionRequest) -> None:
        if request.part == "cure":
            raise CutOff

    palembang.playbooks.before = forge_and_die
    with pytest.raises(CutOff):
        palembang.go_on(folder, ASSIGNED, assigned("start_unit"))
    rewrite(folder.path, allow_more)
    forge(
        folder.path,
        lambda records: find(records, "repairs_proposed")["allowed"].append("clean_package_cache"),
    )
    before = len(palembang.playbooks.requests)
    with pytest.raises(errors.VerificationError, match=r"4-1-repairs\.json"):
        palembang.go_on(folder, ASSIGNED, assigned("start_unit"), resumed=True)
    assert len(palembang.playbooks.requests) == before


def test_a_form_is_still_awaited_where_nothing_could_be_cured(palembang: Office) -> None:
    folder = sick(palembang, MASKED).start()
    stopped = palembang.go_on(folder, ASSIGNED, {1: assigned("start_unit")[1]})
    assert isinstance(stopped, Unfilled)
    assert stopped.awaited["step"] == 4
