"""The roster of an open run is changed: by whom, what counts before and after, and what is forged of it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner import archive, errors, record, verify
from runner.canonical import canonical_json
from runner.decisions import Paper
from runner.engine import Closed, Waiting
from runner.gates import Choice
from runner.journal import Journal
from runner.officials import Official, Roster, Validity
from runner.roster_change import RosterChange
from runner.workspace import RunFolder
from scenarios.forgery import Record, find, forge, read_journal
from scenarios.office import DAY, PLH, Office, events_of, while_signing, with_deputy

APPROVED = {2: ["disetujui"]}
STATEMENT, ROSTER, SIGNERS = "decisions/roster-1.json", "rosters/1.json", "rosters/1.signers"


def waiting(office: Office) -> RunFolder:
    folder = office.start()
    assert isinstance(office.go_on(folder, {}), Waiting)
    return folder


def without(roster: Roster, official: str) -> Roster:
    return roster.model_copy(update={"officials": [o for o in roster.officials if o.id != official]})


def changed(roster: Roster, official: str, **fields: object) -> Roster:
    officials = [o.model_copy(update=fields) if o.id == official else o for o in roster.officials]
    return roster.model_copy(update={"officials": officials})


def public_key(office: Office, name: str) -> str:
    """Return the public key of this name; a key is made for one that is new."""
    path = office.key(name)
    if not path.exists():
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path.with_name(f"{name}.pub").read_text().strip()


def with_one_more(office: Office, name: str, position: str, nip: int = 77, key: str = "") -> Roster:
    come = Official(
        id=name,
        name=f"Nama {name.title()}",
        nip=f"{nip:018d}",
        positions=[position],
        key=public_key(office, key or name),
    )
    return office.roster.model_copy(update={"officials": [*office.roster.officials, come]})


def decide_refused(office: Office, folder: RunFolder, official: str, key: str = "") -> str:
    with pytest.raises(errors.DecisionRefusedError) as caught:
        office.engine(folder).decide(Choice(official, "disetujui", "Alasan"), office.key(key or official))
    return str(caught.value)


def refused(office: Office, folder: RunFolder, said: Roster, official: str, **how: str) -> str:
    before = folder.journal.read_bytes()
    with pytest.raises(errors.DecisionRefusedError) as caught:
        office.change_roster(folder, said, official, **how)
    assert folder.journal.read_bytes() == before
    assert not (folder.path / "rosters").exists()
    verify.check_run(folder)
    return str(caught.value)


# What holds from then on ------------------------------------------------------------------------------


def test_a_deputy_named_while_the_run_waits_decides_and_the_run_ends_well(contoh: Office) -> None:
    folder = waiting(contoh)
    assert "does not hold the awaited position" in decide_refused(contoh, folder, "analis")
    contoh.change_roster(folder, with_deputy(contoh.roster), "kabid")
    verify.check_run(folder)
    contoh.decide(folder, "disetujui", "analis")
    assert isinstance(contoh.go_on(folder, {}, resumed=True), Closed)
    verify.check_run(folder)
    made = events_of(folder, "decision_made")[0]
    assert made["person"]["deputy"] == {"kind": "Plh", "letter": PLH["letter"]}


def test_an_official_who_left_decides_no_more(contoh: Office) -> None:
    contoh.roster = with_deputy(contoh.roster)
    folder = waiting(contoh)
    contoh.change_roster(folder, without(with_deputy(contoh.roster), "kabid"), "pranata")
    assert decide_refused(contoh, folder, "kabid") == "'kabid' is not in the roster of officials"
    contoh.decide(folder, "disetujui", "analis")
    verify.check_run(folder)


def test_after_a_lost_key_only_the_new_one_counts(contoh: Office) -> None:
    folder = waiting(contoh)
    contoh.change_roster(folder, changed(contoh.roster, "kabid", key=public_key(contoh, "baru")), "analis")
    assert "is not the key of Nama Kabid" in decide_refused(contoh, folder, "kabid")
    contoh.engine(folder).decide(Choice("kabid", "disetujui"), contoh.key("baru"))
    verify.check_run(folder)


def test_what_was_decided_before_stays_though_the_official_left(contoh: Office) -> None:
    folder = waiting(contoh)
    contoh.decide(folder, "disetujui", "kabid")
    contoh.change_roster(folder, without(contoh.roster, "kabid"), "pranata")
    assert isinstance(contoh.go_on(folder, {}, resumed=True), Closed)
    assert [request.step for request in contoh.playbooks.requests if request.changes] == [3, 3, 3]
    verify.check_run(folder)


def test_a_change_by_itself_decides_nothing(contoh: Office) -> None:
    folder = waiting(contoh)
    contoh.change_roster(folder, with_deputy(contoh.roster))
    assert isinstance(contoh.go_on(folder, {}, resumed=True), Waiting)
    assert events_of(folder, "decision_made") == []


def test_the_open_gate_gets_a_nonce_of_its_own(contoh: Office) -> None:
    folder = waiting(contoh)
    old = events_of(folder, "gate_opened")[0]["nonce"]
    made = contoh.change_roster(folder, with_deputy(contoh.roster))
    gate = record.load(folder).state.gate
    assert gate is not None
    assert old != made["nonce"] == gate.nonce


def test_a_run_at_no_gate_gets_no_nonce(contoh: Office) -> None:
    folder = contoh.start()
    assert contoh.change_roster(folder, with_deputy(contoh.roster))["nonce"] is None
    assert isinstance(contoh.go_on(folder, APPROVED, resumed=True), Closed)
    verify.check_run(folder)


def test_what_is_signed_while_the_roster_changes_does_not_count(
    contoh: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = waiting(contoh)
    while_signing(monkeypatch, lambda: contoh.change_roster(folder, with_deputy(contoh.roster), "pranata"))
    assert decide_refused(contoh, folder, "kabid") == "the gate has changed meanwhile; look at it again"


def test_a_process_that_was_asking_meanwhile_goes_by_the_new_roster(contoh: Office) -> None:
    """The prompt was open with the old roster; what is decided there then is another gate."""
    folder = waiting(contoh)
    asked: list[str] = []

    def ask(gate: Any, now: Any) -> tuple[Choice, Path] | None:  # noqa: ANN401 - the engine's own values
        asked.append(gate.nonce)
        if len(asked) == 1:
            contoh.change_roster(folder, without(with_deputy(contoh.roster), "kabid"), "pranata")
        elif len(asked) > 2:
            return None
        assert (now.roster.official("kabid") is None) == (len(asked) > 1)
        return Choice("kabid", "disetujui"), contoh.key("kabid")

    assert isinstance(contoh.engine(folder).run(ask), Waiting)
    assert len(set(asked)) == 2
    assert events_of(folder, "decision_made") == []


def test_a_paper_entered_for_the_old_roster_is_entered_again(contoh: Office, tmp_path: Path) -> None:
    folder = waiting(contoh)
    scan = tmp_path / "scan.pdf"
    scan.write_bytes(b"%PDF-1.7")
    entry = Choice("kabid", "disetujui", "Alasan"), Paper(scan, "pengelola"), contoh.key("pengelola")
    contoh.engine(folder).decisions.enter(*entry)
    contoh.change_roster(folder, with_deputy(contoh.roster))
    with pytest.raises(errors.DecisionRefusedError, match="no decision on paper was entered"):
        contoh.engine(folder).decisions.confirm("pranata", contoh.key("pranata"))
    contoh.engine(folder).decisions.enter(*entry)
    contoh.engine(folder).decisions.confirm("pranata", contoh.key("pranata"))
    verify.check_run(folder)


def test_the_roster_is_changed_twice_and_each_judges_its_own_time(contoh: Office) -> None:
    folder = waiting(contoh)
    first = with_one_more(contoh, "baru", "Kepala Contoh")
    contoh.change_roster(folder, first, "kabid")
    contoh.engine(folder).decide(Choice("baru", "periksa ulang", "Alasan"), contoh.key("baru"))
    contoh.go_on(folder, {}, resumed=True)
    contoh.change_roster(folder, without(contoh.roster, "analis"), "pranata")
    assert "'baru' is not in the roster" in decide_refused(contoh, folder, "baru")
    contoh.decide(folder, "disetujui", "kabid")
    assert isinstance(contoh.go_on(folder, {}, resumed=True), Closed)
    verify.check_run(folder)


def test_who_left_neither_notes_nor_stops(contoh: Office) -> None:
    folder = waiting(contoh)
    contoh.change_roster(folder, without(contoh.roster, "analis"))
    with pytest.raises(errors.InputError, match="'analis' is not in the roster"):
        contoh.engine(folder).stop("analis", "Alasan")
    with pytest.raises(errors.InputError, match="'analis' is not in the roster"):
        contoh.free(folder, "analis")


def test_the_run_keeps_the_roster_though_the_office_s_file_goes(contoh: Office) -> None:
    folder = waiting(contoh)
    contoh.change_roster(folder, with_deputy(contoh.roster))
    for name in (ROSTER, SIGNERS, STATEMENT, f"{STATEMENT}.sig"):
        assert (folder.path / name).stat().st_mode & 0o777 == 0o600
    contoh.roster = Roster(office="Dinas Contoh")
    assert record.load(folder).roster.deputies[0].letter == PLH["letter"]


# Who may sign it --------------------------------------------------------------------------------------


def test_the_operator_does_not_make_himself_kabid(contoh: Office) -> None:
    folder = waiting(contoh)
    himself = changed(contoh.roster, "pengelola", positions=["Petugas Contoh", "Kepala Contoh"])
    told = refused(contoh, folder, himself, "pengelola")
    assert told == "Nama Pengelola operates this run and may not sign a change of its roster"
    # Nor does it help him when somebody else signs it.
    contoh.change_roster(folder, himself, "analis")
    assert "operates this run" in decide_refused(contoh, folder, "pengelola")


@pytest.mark.parametrize(
    "account",
    [{"nip": 1}, {"key": "pengelola", "nip": 1}, {"key": "kunci-baru", "nip": 1}],
    ids=["his number", "his key", "his number and a new key"],
)
def test_a_second_account_of_the_operator_decides_nothing(contoh: Office, account: dict[str, Any]) -> None:
    folder = waiting(contoh)
    said = with_one_more(contoh, "kembaran", "Kepala Contoh", **account)
    contoh.change_roster(folder, said, "analis")
    told = decide_refused(contoh, folder, "kembaran", account.get("key", ""))
    assert told == "Nama Kembaran operates this run and may not decide its gates"


def test_the_operator_stays_known_though_he_was_taken_out_and_comes_back(contoh: Office) -> None:
    """His key under another number: only what stood in the roster before tells that it is he."""
    folder = waiting(contoh)
    contoh.change_roster(folder, without(contoh.roster, "pengelola"), "analis")
    contoh.roster = without(contoh.roster, "pengelola")
    back = with_one_more(contoh, "tamu", "Kepala Contoh", key="pengelola")
    with pytest.raises(errors.DecisionRefusedError, match="the key of 'tamu' was that of Nama Pengelola"):
        contoh.change_roster(folder, back, "analis")
    back = with_one_more(contoh, "tamu", "Kepala Contoh", nip=1)
    contoh.change_roster(folder, back, "analis")
    assert "operates this run" in decide_refused(contoh, folder, "tamu")


@pytest.mark.parametrize("what", ["deputy", "positions", "key", "days", "second account", "leaves"])
def test_nobody_signs_a_change_that_is_about_himself(contoh: Office, what: str) -> None:
    folder = waiting(contoh)
    said = {
        "deputy": lambda: with_deputy(contoh.roster),
        "positions": lambda: changed(contoh.roster, "analis", positions=["Kepala Contoh"]),
        "key": lambda: changed(contoh.roster, "analis", key=public_key(contoh, "baru")),
        "days": lambda: changed(
            contoh.roster, "analis", valid=Validity.model_validate({"from": "2026-01-01"})
        ),
        "second account": lambda: with_one_more(contoh, "kembaran", "Kepala Contoh", nip=2),
        "leaves": lambda: without(contoh.roster, "analis"),
    }[what]()
    assert "may not sign a change that is about himself" in refused(contoh, folder, said, "analis")
    contoh.change_roster(folder, said, "pranata")
    verify.check_run(folder)


def test_nobody_signs_for_whom_he_brought_in_himself_nor_the_other_way_round(contoh: Office) -> None:
    folder = waiting(contoh)
    contoh.roster = with_one_more(contoh, "baru", "Staf")
    contoh.change_roster(folder, contoh.roster, "analis")
    told = refused_after(contoh, folder, with_deputy(contoh.roster, official="baru"), "analis")
    assert told == (
        "Nama Analis may not sign a change that is about Nama Baru, with whom he counts as one person; "
        "another official signs it"
    )
    assert "with whom he counts" in refused_after(contoh, folder, with_deputy(contoh.roster), "baru")
    # A third one in between does not help.
    contoh.roster = with_one_more(contoh, "ketiga", "Staf", nip=78)
    contoh.change_roster(folder, contoh.roster, "baru")
    assert "with whom he counts" in refused_after(contoh, folder, with_deputy(contoh.roster), "ketiga")
    contoh.change_roster(folder, with_deputy(contoh.roster), "pranata")
    verify.check_run(folder)


def refused_after(office: Office, folder: RunFolder, said: Roster, official: str) -> str:
    with pytest.raises(errors.DecisionRefusedError) as caught:
        office.change_roster(folder, said, official)
    return str(caught.value)


def test_who_vouched_for_a_key_does_not_vouch_for_its_holder_s_paper_too(
    contoh: Office, tmp_path: Path
) -> None:
    folder = waiting(contoh)
    contoh.change_roster(folder, with_one_more(contoh, "baru", "Kepala Contoh"), "analis")
    scan = tmp_path / "scan.pdf"
    scan.write_bytes(b"%PDF-1.7")
    entry = Choice("baru", "disetujui", "Alasan"), Paper(scan, "pengelola"), contoh.key("pengelola")
    contoh.engine(folder).decisions.enter(*entry)
    with pytest.raises(errors.DecisionRefusedError, match="counted as one with Nama Baru since one vouched"):
        contoh.engine(folder).decisions.confirm("analis", contoh.key("analis"))
    contoh.engine(folder).decisions.confirm("pranata", contoh.key("pranata"))
    verify.check_run(folder)


def test_it_is_signed_with_the_key_of_the_roster_before(contoh: Office) -> None:
    folder = waiting(contoh)
    said = with_deputy(contoh.roster)
    assert "is not the key of Nama Kabid" in refused(contoh, folder, said, "kabid", key="stranger")
    assert "is not the key of Nama Kabid" in refused(contoh, folder, said, "kabid", key="pengelola")
    assert "not in the roster that holds until now" in refused(contoh, folder, said, "stranger")


def test_an_official_of_other_days_signs_nothing(contoh: Office) -> None:
    contoh.roster = changed(contoh.roster, "pranata", valid=Validity.model_validate({"until": "2026-11-21"}))
    folder = waiting(contoh)
    contoh.clock.advance(DAY)
    told = refused(contoh, folder, with_deputy(contoh.roster), "pranata")
    assert told == "Nama Pranata is an official until 2026-11-21, not on 2026-11-22"


OTHERS: dict[str, tuple[Callable[[Office], Roster], str]] = {
    "nothing": (lambda office: office.roster, "nothing differs"),
    "another office": (
        lambda o: o.roster.model_copy(update={"office": "Dinas Lain"}),
        "the roster of Dinas Lain",
    ),
    "another zone": (lambda o: o.roster.model_copy(update={"timezone": "Asia/Jayapura"}), "Asia/Jayapura"),
    "an id given to another": (
        lambda o: changed(o.roster, "kabid", nip="9" * 18),
        "'kabid' was that of Nama Kabid",
    ),
}


@pytest.mark.parametrize("what", OTHERS)
def test_a_roster_that_cannot_follow_is_refused(contoh: Office, what: str) -> None:
    folder = waiting(contoh)
    make, told = OTHERS[what]
    assert told in refused(contoh, folder, make(contoh), "pranata")
    with pytest.raises(errors.DecisionRefusedError):
        RosterChange(record.load(folder), contoh.clock, make(contoh)).proposed()


@pytest.mark.parametrize(("reason", "told"), [(" ", "needs a reason"), ("x" * 5000, "longer than 4096")])
def test_a_change_has_a_reason(contoh: Office, reason: str, told: str) -> None:
    folder = waiting(contoh)
    assert told in refused(contoh, folder, with_deputy(contoh.roster), "kabid", reason=reason)


def test_a_closed_run_keeps_its_roster(contoh: Office) -> None:
    folder = waiting(contoh)
    contoh.go_on(folder, APPROVED)
    assert "is over" in refused(contoh, folder, with_deputy(contoh.roster), "kabid")


def test_a_run_that_went_on_meanwhile_is_looked_at_again(
    contoh: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = waiting(contoh)
    while_signing(monkeypatch, lambda: contoh.decide(folder, "disetujui", "kabid"))
    with pytest.raises(errors.DecisionRefusedError, match="has gone on meanwhile; look at it again"):
        contoh.change_roster(folder, with_deputy(contoh.roster))
    assert events_of(folder, "roster_changed") == []


def test_another_change_than_was_shown_is_not_signed(contoh: Office) -> None:
    folder = waiting(contoh)
    shown = RosterChange(record.load(folder), contoh.clock, with_deputy(contoh.roster)).proposed()
    other = RosterChange(record.load(folder), contoh.clock, with_deputy(contoh.roster, official="pranata"))
    word = contoh.word("kabid")
    with pytest.raises(errors.DecisionRefusedError, match="another change than was shown"):
        other.sign(word, seen=shown.code)
    RosterChange(record.load(folder), contoh.clock, with_deputy(contoh.roster)).sign(word, seen=shown.code)


# Forged -----------------------------------------------------------------------------------------------


@pytest.fixture
def run(contoh: Office) -> RunFolder:
    """Return a closed run in which a deputy decided who was named on the way."""
    folder = waiting(contoh)
    contoh.change_roster(folder, with_deputy(contoh.roster), "kabid")
    contoh.decide(folder, "disetujui", "analis")
    assert isinstance(contoh.go_on(folder, {}, resumed=True), Closed)
    verify.check_run(folder)
    return folder


def test_an_archive_is_checked_by_hand_with_the_keys_of_each_time(contoh: Office, root: Path) -> None:
    """The old key signed before the change and the new one after it; the commands of the page know both."""
    folder = waiting(contoh)
    contoh.decide(folder, "periksa ulang", "kabid")
    contoh.go_on(folder, {}, resumed=True)
    contoh.change_roster(folder, changed(contoh.roster, "kabid", key=public_key(contoh, "baru")), "analis")
    contoh.engine(folder).decide(Choice("kabid", "disetujui"), contoh.key("baru"))
    assert isinstance(contoh.go_on(folder, {}, resumed=True), Closed)
    sealed = archive.seal(folder, contoh.root / "archive")
    assert verify.verify(sealed).decisions == 2
    page = (root / "docs" / "run-record.md").read_text(encoding="utf-8")
    checks = re.findall(r"```sh\n(.*?)```", page.split("## Checking an archive by hand")[1], re.DOTALL)

    def by_hand(check: str) -> int:
        return subprocess.run(["sh", "-c", check], cwd=sealed, capture_output=True, check=False).returncode

    assert [0] * len(checks) == [by_hand(check) for check in checks]
    (sealed / "data" / SIGNERS).unlink()
    assert 0 not in [by_hand(check) for check in checks if "-Y verify" in check]


def wrong(run: RunFolder) -> str:
    with pytest.raises(errors.VerificationError) as caught:
        verify.check_run(run)
    return str(caught.value)


def rewrite(path: Path, **fields: object) -> None:
    path.write_bytes(canonical_json({**json.loads(path.read_bytes()), **fields}))


def sign(statement: Path, key: Path) -> None:
    statement.with_name(f"{statement.name}.sig").unlink()
    command = ["ssh-keygen", "-q", "-Y", "sign", "-n", "rawat-decision", "-f", str(key), str(statement)]
    subprocess.run(command, check=True, capture_output=True)


def seq_fitted(records: list[Record]) -> None:
    for seq, said in enumerate(records, start=1):
        if "as_of" in said:
            said["as_of"] = seq - 1


def test_a_change_taken_out_is_found(run: RunFolder) -> None:
    def take_out(records: list[Record]) -> None:
        records.remove(find(records, "roster_changed"))
        seq_fitted(records)

    forge(run.path, take_out)
    assert wrong(run)


@pytest.mark.parametrize("by", [-2, -1, 1, 2])
def test_a_change_at_another_place_is_found(run: RunFolder, by: int) -> None:
    def move(records: list[Record]) -> None:
        change = find(records, "roster_changed")
        at = records.index(change)
        records.remove(change)
        records.insert(at + by, change)
        seq_fitted(records)

    forge(run.path, move)
    assert wrong(run).startswith(("journal.jsonl:", STATEMENT))


def test_a_change_that_is_told_twice_is_found(run: RunFolder) -> None:
    def double(records: list[Record]) -> None:
        at = records.index(find(records, "roster_changed"))
        records.insert(at, dict(records[at]))
        seq_fitted(records)

    forge(run.path, double)
    assert wrong(run)


def put_in_kabid(path: Path) -> None:
    said = json.loads(path.read_bytes())
    next(o for o in said["officials"] if o["id"] == "analis")["positions"] = ["Kepala Contoh"]
    path.write_bytes(canonical_json(said))


def test_another_roster_than_was_signed_is_found(run: RunFolder) -> None:
    put_in_kabid(run.path / ROSTER)
    assert wrong(run) == f"{ROSTER}: is not the file that the journal names"
    forge(run.path, lambda _records: None)
    assert wrong(run) == f"{ROSTER}: is not a roster that follows the one before it"


@pytest.mark.parametrize("name", [ROSTER, SIGNERS, STATEMENT, f"{STATEMENT}.sig"])
def test_a_file_of_a_change_that_is_gone_is_named(run: RunFolder, name: str) -> None:
    (run.path / name).unlink()
    assert wrong(run) == f"{name}: is missing"


def test_other_keys_beside_the_changed_roster_are_found(run: RunFolder) -> None:
    with (run.path / SIGNERS).open("ab") as signers:
        signers.write(b'kabid namespaces="rawat-decision" ssh-ed25519 AAAA\n')
    forge(run.path, lambda _records: None)
    assert wrong(run).startswith(f"{SIGNERS}: ")


@pytest.mark.parametrize("key", ["analis", "pengelola", "stranger"])
def test_a_change_signed_by_another_is_found(contoh: Office, run: RunFolder, key: str) -> None:
    sign(run.path / STATEMENT, contoh.key(key))
    forge(run.path, lambda _records: None)
    assert wrong(run) == f"{STATEMENT}.sig: is not the signature of kabid on {STATEMENT}"


def test_a_change_signed_with_a_key_that_only_the_new_roster_has_is_found(contoh: Office) -> None:
    """Who writes the journal anew, with a key of his own in the new roster, has none of the old one's."""
    folder = waiting(contoh)
    contoh.change_roster(folder, changed(contoh.roster, "kabid", key=public_key(contoh, "baru")), "analis")
    rewrite(folder.path / STATEMENT, signer="kabid", person=contoh.roster.officials[3].person())
    sign(folder.path / STATEMENT, contoh.key("baru"))
    kabid = contoh.roster.officials[3].person()
    forge(folder.path, lambda records: find(records, "roster_changed").update(person=kabid))
    assert wrong(folder)


@pytest.mark.parametrize(
    "field", ["run", "sop", "head", "before", "after", "changes", "person", "reason", "act"]
)
def test_an_altered_statement_is_found_though_its_signer_signs_it_again(
    contoh: Office, run: RunFolder, field: str
) -> None:
    rewrite(run.path / STATEMENT, **{field: "0" * 64})
    sign(run.path / STATEMENT, contoh.key("kabid"))
    forge(run.path, lambda _records: None)
    assert wrong(run) == f"{STATEMENT}: does not fit the run and the journal in '{field}'"


FORGED: dict[str, dict[str, Any]] = {
    "person": {
        "person": {"id": "analis", "name": "Nama Analis", "nip": f"{2:018d}", "position": "x", "deputy": None}
    },
    "reason": {"reason": "Alasan lain"},
    "nonce": {"nonce": None},
    "no changes": {"changes": []},
    "other changes": {
        "changes": [
            {"official": "analis", "name": "Nama Analis", "field": "name", "before": "a", "after": "b"}
        ]
    },
}


@pytest.mark.parametrize("what", FORGED)
def test_a_forged_field_of_the_record_is_found(run: RunFolder, what: str) -> None:
    forge(run.path, lambda records: find(records, "roster_changed").update(FORGED[what]))
    assert wrong(run).startswith(("journal.jsonl:", STATEMENT))


def test_a_decision_with_the_gate_s_old_nonce_is_found(contoh: Office) -> None:
    """A decision that was signed for the old roster, put behind the change."""
    folder = waiting(contoh)
    spare = Path(shutil.copytree(folder.path, contoh.root / "spare" / folder.name))
    contoh.decide(RunFolder(spare), "disetujui", "kabid")
    contoh.change_roster(folder, without(contoh.roster, "kabid"), "pranata")
    for name in ("2-1.json", "2-1.json.sig"):
        shutil.copy(spare / "decisions" / name, folder.path / "decisions" / name)
    theirs = find(read_journal(spare), "decision_made")
    forge(folder.path, lambda records: records.append(theirs))
    assert wrong(folder).startswith("journal.jsonl:")


def test_a_half_made_change_beside_an_open_run_is_no_stranger(contoh: Office) -> None:
    folder = waiting(contoh)
    for name in (ROSTER, SIGNERS, STATEMENT):
        (folder.path / name).parent.mkdir(exist_ok=True)
        (folder.path / name).write_bytes(b"half")
    verify.check_run(folder)
    contoh.change_roster(folder, with_deputy(contoh.roster))
    verify.check_run(folder)


def test_a_change_that_was_cut_off_and_never_made_again_keeps_no_run_from_its_archive(
    contoh: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = waiting(contoh)

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "append", die)
        with pytest.raises(KeyboardInterrupt):
            contoh.change_roster(folder, with_deputy(contoh.roster))
        with pytest.raises(KeyboardInterrupt):
            contoh.free(folder, "pranata")
    contoh.go_on(folder, APPROVED, resumed=True)
    verify.check_run(folder)
    sealed = archive.seal(folder, contoh.root / "archive")
    verify.verify(sealed)
    for name in (ROSTER, SIGNERS, STATEMENT, "decisions/break-1.json"):
        assert (folder.path / name).exists()
        assert not (sealed / "data" / name).exists()


def test_hosts_are_not_changed_on_a_forged_roster(contoh: Office) -> None:
    """Asked of the signatures themselves right before the change, not only by verify."""
    folder = waiting(contoh)
    contoh.change_roster(folder, with_deputy(contoh.roster), "kabid")
    contoh.decide(folder, "disetujui", "analis")
    sign(folder.path / STATEMENT, contoh.key("stranger"))
    forge(folder.path, lambda _records: None)
    with pytest.raises(errors.VerificationError, match="is not the decider's signature"):
        contoh.go_on(folder, {}, resumed=True)
    assert [request.step for request in contoh.playbooks.requests if request.changes] == []


def test_a_note_before_a_break_or_a_change_does_no_harm(contoh: Office) -> None:
    """What is signed names the journal's last record, whatever that is."""
    folder = waiting(contoh)
    with contoh.engine(folder)._locked():
        pass
    engine = contoh.engine(folder)
    with engine._locked():
        engine._append("question_asked", about="condition", step=None, attempt=None)
    contoh.free(folder)
    verify.check_run(folder)
    with engine._locked():
        engine._append("condition_told", condition="normal", reason="", person=engine._state.operator)
    contoh.change_roster(folder, with_deputy(contoh.roster))
    verify.check_run(folder)
