"""Which run holds which hosts: overlapping inventories are refused, and a hold ends by closing or by name."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from fakes import StepClock

from runner import errors, freeing, holds, journal, record, signing, verify
from runner.canonical import canonical_json
from runner.endpoints import address_of
from runner.engine import Closed, Waiting
from runner.inventory import Inventory
from runner.start import Start, start_run
from runner.workspace import RunFolder
from scenarios.forgery import find, forge, read_journal
from scenarios.office import Office, events_of

APPROVED = {2: ["disetujui"]}
BREAK = "decisions/break-1.json"


def start_on(office: Office, hosts: tuple[str, ...], addresses: dict[str, str] | None = None) -> RunFolder:
    """Start a run over these hosts, as another inventory of the same office would."""
    inventory = Inventory(office.root / "inventory", hosts, {}, addresses=addresses or {})
    start = Start(office.sop_text, office.sop_name, inventory, office.roster, office.roster.officials[0])
    return start_run(office.workspace, office.clock, start)


def refusal(office: Office, hosts: tuple[str, ...], addresses: dict[str, str] | None = None) -> str:
    before = sorted(path.name for path in office.workspace.runs.iterdir())
    with pytest.raises(errors.InputError) as caught:
        start_on(office, hosts, addresses)
    assert caught.value.exit_code == 2
    assert before == sorted(path.name for path in office.workspace.runs.iterdir())
    return f"{caught.value} | {caught.value.hint}"


# Overlap ----------------------------------------------------------------------------------------------


def test_a_second_run_on_a_held_host_is_refused_naming_all_that_helps(contoh: Office) -> None:
    held = start_on(contoh, ("web1", "web2"))
    assert refusal(contoh, ("db1", "web2", "web10")) == (
        f"run {held.name} of Nama Pengelola, before its first row, holding them since "
        f"{journal.read(held.journal)[0].instant.at:%Y-%m-%dT%H:%M:%S.%fZ} has web2 in common with this one; "
        f"nothing was begun | finish it with 'rawat resume {held.name}', or, if nobody will, free its hosts "
        f"with 'rawat break-lock {held.name} --official ID --reason TEXT'"
    )


def test_the_row_at_which_the_holder_stands_is_told(contoh: Office) -> None:
    folder = contoh.start()
    contoh.go_on(folder, {})
    assert "at row 2, holding them" in refusal(contoh, ("web1",))


def test_many_hosts_in_common_are_counted(contoh: Office) -> None:
    hosts = tuple(f"pc{number}" for number in range(1, 21))
    start_on(contoh, hosts)
    assert "has pc1, pc2, pc3, pc4, pc5 and 15 more in common" in refusal(contoh, hosts)


def test_hosts_that_nobody_holds_are_free(contoh: Office) -> None:
    first = start_on(contoh, ("web1", "web2"))
    assert start_on(contoh, ("db1", "web10")).name != first.name


@pytest.mark.parametrize("decisions", [APPROVED, {2: ["dihentikan"]}], ids=["completed", "ended"])
def test_a_closed_run_holds_nothing(contoh: Office, decisions: dict[int, list[str]]) -> None:
    folder = contoh.start()
    if 2 in decisions and decisions[2] == ["dihentikan"]:
        outcomes = [o.name for o in contoh.sop.step(2).decision.outcomes if o.next == "end"]  # type: ignore[union-attr]
        decisions = {2: outcomes}
    assert isinstance(contoh.go_on(folder, decisions), Closed)
    start_on(contoh, contoh.hosts)


def test_a_run_that_failed_or_waits_for_years_still_holds(contoh: Office) -> None:
    contoh.playbooks.answer(1, "1", dict.fromkeys(contoh.hosts, "unreachable"))
    folder = contoh.start()
    with pytest.raises(errors.StepFailedError):
        contoh.go_on(folder, {})
    contoh.clock.advance(10 * 365 * 86400)
    assert folder.name in refusal(contoh, ("web1",))


A = {"web1": "10.0.0.1:22"}


@pytest.mark.parametrize(
    ("ours", "theirs", "same"),
    [
        ({"web1": ""}, {"web1": ""}, True),
        ({"web1": "10.0.0.1:22"}, {"www": "10.0.0.1:22"}, True),
        ({"web1": "10.0.0.1:22"}, {"web1": "10.0.0.2:22"}, False),
        ({"web1": "10.0.0.1:22"}, {"web1": "10.0.0.1:2222"}, False),
        ({"web1": "10.0.0.1:22"}, {"web1": ""}, True),
        ({"web1": ""}, {"web1": "10.0.0.1:22"}, True),
        ({"10.0.0.1": ""}, {"web1": "10.0.0.1:22"}, True),
        ({"web1": "10.0.0.1:22"}, {"web2": "10.0.0.2:22"}, False),
    ],
)
def test_a_host_is_known_by_where_it_is_reached(
    contoh: Office, ours: dict[str, str], theirs: dict[str, str], *, same: bool
) -> None:
    start_on(contoh, tuple(theirs), {host: at for host, at in theirs.items() if at})
    given = {host: at for host, at in ours.items() if at}
    if same:
        assert "in common" in refusal(contoh, tuple(ours), given)
    else:
        start_on(contoh, tuple(ours), given)


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ({}, "web1:22"),
        ({"ansible_host": "10.0.0.1"}, "10.0.0.1:22"),
        ({"ansible_host": "10.0.0.1", "ansible_port": 2222}, "10.0.0.1:2222"),
        ({"ansible_ssh_host": "Web1.Example.ID.", "ansible_ssh_port": "22"}, "web1.example.id:22"),
        ({"ansible_host": "2001:DB8:0:0::1"}, "2001:db8::1:22"),
        ({"ansible_host": "[2001:db8::1]"}, "2001:db8::1:22"),
        ({"ansible_host": "{{ somewhere }}", "ansible_port": "{{ p }}"}, "web1:22"),
    ],
)
def test_one_address_in_many_spellings_is_one(variables: dict[str, object], address: str) -> None:
    assert address_of("web1", variables) == address


# Journals that are not as they should be ----------------------------------------------------------------


def test_a_start_that_was_cut_off_holds_nothing(contoh: Office) -> None:
    folder = start_on(contoh, ("web1",))
    first = folder.journal.read_bytes()
    for left in (b"", first[:100]):
        folder.journal.write_bytes(left)
        start_on(contoh, (f"other{len(left)}",))
        assert start_on(contoh, ("web1",))
        for path in contoh.workspace.runs.glob("*/journal.jsonl"):
            path.write_bytes(b"")


def test_a_damaged_journal_still_holds_the_hosts_of_its_first_record(contoh: Office) -> None:
    folder = contoh.start()
    contoh.go_on(folder, {})
    lines = folder.journal.read_bytes().splitlines(keepends=True)
    folder.journal.write_bytes(lines[0] + b"rubbish\n" + b"".join(lines[2:]))
    assert folder.name in refusal(contoh, ("web1",))
    start_on(contoh, ("another",))


def test_a_torn_last_line_does_not_free_hosts(contoh: Office) -> None:
    folder = contoh.start()
    with folder.journal.open("ab") as stream:
        stream.write(b'{"at":"20')
    assert folder.name in refusal(contoh, ("web1",))


@pytest.mark.parametrize("line", [b"rubbish\n", b"[]\n", b'{"inventory":{"hosts":3}}\n', b"{}\n"])
def test_a_journal_that_does_not_tell_its_hosts_stops_every_start(contoh: Office, line: bytes) -> None:
    folder = contoh.start()
    folder.journal.write_bytes(line)
    assert f"nobody can tell which hosts run {folder.name} holds" in refusal(contoh, ("another",))


def test_many_closed_runs_are_not_read_through(contoh: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = contoh.start()
    contoh.go_on(folder, APPROVED)
    whole = folder.journal.read_bytes()
    for number in range(500):
        copy = contoh.workspace.runs / f"old-{number}" / "journal.jsonl"
        copy.parent.mkdir()
        copy.write_bytes(whole)
    read: list[str] = []
    monkeypatch.setattr(holds, "_holding", lambda told: read.append(told.name))
    assert (holds.holdings(contoh.workspace), read) == ([], [])


# Resuming -----------------------------------------------------------------------------------------------


def test_a_run_is_not_resumed_while_another_holds_one_of_its_hosts(contoh: Office) -> None:
    """Two open runs on one host can only come from outside, such as a run folder that was moved in."""
    first = contoh.start()
    away = contoh.root / "away"
    first.path.rename(away)
    second = contoh.start()
    away.rename(first.path.with_name("moved-in"))
    moved = contoh.workspace.run_folder("moved-in")
    assert len(holds.holdings(contoh.workspace)) == 2
    for folder, other in ((moved, second.name), (second, "moved-in")):
        with pytest.raises(errors.InputError, match=rf"run {other} of .* in common"):
            contoh.go_on(folder, {}, resumed=True)
    assert contoh.playbooks.done == []


# At once ------------------------------------------------------------------------------------------------


def race(office: Office, wanted: list[tuple[str, ...]]) -> list[bool]:
    """Let one process per entry start a run on these hosts at the same moment; tell which did."""
    gate, opener = os.pipe()
    starters = []
    for hosts in wanted:
        pid = os.fork()
        if not pid:
            os.close(opener)
            os.read(gate, 1)  # returns when the opener is closed everywhere
            code = 1
            try:
                start_on(office, hosts)
                code = 0
            except errors.InputError as error:
                code = 2 if "in common with this one" in str(error) else 3
            finally:
                os._exit(code)
        starters.append(pid)
    os.close(gate)
    os.close(opener)
    codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in starters]
    assert set(codes) <= {0, 2}
    return [code == 0 for code in codes]


def holders_of_each_host(office: Office) -> dict[str, int]:
    """Count how many open runs hold each host."""
    return dict(Counter(host for holding in holds.holdings(office.workspace) for host in holding.hosts))


def test_of_many_starts_at_once_one_wins_each_host(contoh: Office) -> None:
    """Thirty inventories of two hosts in a ring: neighbours overlap."""
    ring = [(f"pc{number}", f"pc{(number + 1) % 30}") for number in range(30)]
    won = race(contoh, ring)
    held = holders_of_each_host(contoh)
    assert max(held.values()) == 1
    # Nobody was refused for nothing: every refused pair shares a host with a run that was started.
    assert sum(won) * 2 == len(held)
    assert all(set(pair) & set(held) for pair in ring)


def test_of_many_starts_on_one_inventory_exactly_one_wins(contoh: Office) -> None:
    assert sum(race(contoh, [contoh.hosts] * 20)) == 1


@pytest.mark.campaign
@pytest.mark.timeout(3 * 3600)
def test_a_thousand_races_of_fifty_starters(contoh: Office) -> None:
    """Each race on hosts of its own, so that nothing has to be cleared away in between."""
    chance = random.Random(25)  # noqa: S311 - a seed, so that a failure can be had again
    for number in range(1000):
        hosts = [f"r{number}-pc{n}" for n in range(8)]
        won = race(contoh, [tuple(chance.sample(hosts, chance.randint(1, 4))) for _ in range(50)])
        held = holders_of_each_host(contoh)
        assert max(held.values()) == 1, f"race {number}"
        assert any(won)
        for folder in contoh.workspace.run_folders():
            shutil.rmtree(folder.path)


# Breaking a lock ----------------------------------------------------------------------------------------


def test_a_broken_lock_frees_the_hosts_and_says_who_and_why(contoh: Office) -> None:
    folder = contoh.start()
    contoh.go_on(folder, {})
    contoh.free(folder)
    (told,) = events_of(folder, "lock_broken")
    said = json.loads((folder.path / BREAK).read_bytes())
    assert (told["person"]["name"], told["reason"]) == ("Nama Kabid", "Petugas cuti")
    assert (said["hosts"], said["person"]["id"]) == (sorted(contoh.hosts, key=contoh.hosts.index), "kabid")
    verify.check_run(folder)
    start_on(contoh, ("web1",))


def test_after_a_break_nothing_is_done_on_hosts_until_they_are_taken_again(contoh: Office) -> None:
    folder = contoh.start()
    contoh.go_on(folder, {})
    contoh.decide(folder, "disetujui", "kabid")
    contoh.free(folder)
    done = list(contoh.playbooks.done)
    with pytest.raises(errors.InputError, match="were freed by Nama Kabid; nothing is done on them"):
        contoh.go_on(folder, {})
    assert contoh.playbooks.done == done

    other = start_on(contoh, ("web1",))
    with pytest.raises(errors.InputError, match=other.name):
        contoh.go_on(folder, {}, resumed=True)
    contoh.free(other)
    assert isinstance(contoh.go_on(folder, {}, resumed=True), Closed)
    verify.check_run(folder)


def test_a_run_that_took_its_hosts_again_holds_them(contoh: Office) -> None:
    folder = contoh.start()
    contoh.go_on(folder, {})
    contoh.free(folder)
    assert isinstance(contoh.go_on(folder, {}, resumed=True), Waiting)
    assert folder.name in refusal(contoh, ("web1",))
    contoh.free(folder)
    assert len(events_of(folder, "lock_broken")) == 2
    verify.check_run(folder)


def test_the_gate_can_be_decided_while_the_hosts_are_free(contoh: Office) -> None:
    folder = contoh.start()
    contoh.go_on(folder, {})
    contoh.free(folder)
    contoh.decide(folder, "disetujui", "kabid")
    assert isinstance(contoh.go_on(folder, {}, resumed=True), Closed)
    verify.check_run(folder)


def finish(office: Office, folder: RunFolder) -> None:
    office.go_on(folder, APPROVED)


@pytest.mark.parametrize(
    ("official", "reason", "before", "told"),
    [
        ("kabid", "  ", None, "needs a reason"),
        ("kabid", "x" * 5000, None, "longer than 4096"),
        ("nobody", "why", None, "'nobody' is not in the roster of officials"),
        ("kabid", "why", finish, "is closed and holds no hosts"),
        ("kabid", "why", Office.free, "were freed already, by Nama Kabid"),
    ],
)
def test_a_break_without_ground_is_refused(
    contoh: Office,
    official: str,
    reason: str,
    before: Callable[[Office, RunFolder], None] | None,
    told: str,
) -> None:
    folder = contoh.start()
    contoh.go_on(folder, {})
    if before:
        before(contoh, folder)
    breaks = len(events_of(folder, "lock_broken"))
    with pytest.raises(errors.DecisionRefusedError, match=told):
        contoh.free(folder, official, reason)
    assert len(events_of(folder, "lock_broken")) == breaks


def test_a_break_with_another_officials_key_is_refused(contoh: Office) -> None:
    folder = contoh.start()
    with pytest.raises(errors.DecisionRefusedError, match="is not the key of Nama Kabid"):
        freeing.break_lock(record.load(folder), contoh.clock, "kabid", "why", contoh.key("analis"))
    assert events_of(folder, "lock_broken") == []


def test_a_break_is_refused_while_a_living_process_holds_the_run(contoh: Office) -> None:
    folder = contoh.start()
    with (
        journal.Journal(folder.journal, StepClock()).lock(),
        pytest.raises(errors.InputError, match=r"another process is working on run .*: process \d+ \("),
    ):
        contoh.free(folder)


def test_a_break_is_refused_when_the_run_went_on_meanwhile(
    contoh: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = contoh.start()
    contoh.go_on(folder, {})
    real = signing.made

    def slow(said: dict[str, object], key: Path, scratch: Path) -> signing.Made:
        monkeypatch.undo()
        contoh.decide(folder, "disetujui", "kabid")
        return real(said, key, scratch)

    monkeypatch.setattr(signing, "made", slow)
    with pytest.raises(errors.DecisionRefusedError, match="has gone on meanwhile"):
        contoh.free(folder)


# Forged breaks ------------------------------------------------------------------------------------------


@pytest.fixture
def broken(contoh: Office) -> RunFolder:
    """Return a closed run whose lock was broken once on the way."""
    folder = contoh.start()
    contoh.go_on(folder, {})
    contoh.free(folder)
    assert isinstance(contoh.go_on(folder, APPROVED, resumed=True), Closed)
    verify.check_run(folder)
    return folder


ANALIS = {"id": "analis", "name": "Nama Analis", "nip": f"{2:018d}", "deputy": None}
FORGED = {
    "person": {**ANALIS, "position": "Analis Sistem Informasi dan Jaringan"},
    "name": {"id": "kabid", "name": "Lain", "nip": f"{4:018d}", "position": "x", "deputy": None},
    "nobody": {**ANALIS, "id": "x", "position": "x"},
}


@pytest.mark.parametrize("what", FORGED)
def test_another_person_in_a_break_is_found(broken: RunFolder, what: str) -> None:
    forge(broken.path, lambda records: find(records, "lock_broken").update(person=FORGED[what]))
    with pytest.raises(errors.VerificationError):
        verify.check_run(broken)


@pytest.mark.parametrize("reason", ["Alasan lain", " "])
def test_another_reason_in_a_break_is_found(broken: RunFolder, reason: str) -> None:
    forge(broken.path, lambda records: find(records, "lock_broken").update(reason=reason))
    with pytest.raises(errors.VerificationError):
        verify.check_run(broken)


@pytest.mark.parametrize(
    "field", ["run", "sop", "head", "hosts", "person", "reason", "decided", "act", "signer", "format"]
)
def test_an_altered_statement_of_a_break_is_found(broken: RunFolder, field: str) -> None:
    said = json.loads((broken.path / BREAK).read_bytes())
    said[field] = "2026-11-21T15:00:00.000000Z" if field == "decided" else "0" * 64
    (broken.path / BREAK).write_bytes(canonical_json(said))
    forge(broken.path, lambda _records: None)
    with pytest.raises(errors.VerificationError) as caught:
        verify.check_run(broken)
    assert caught.value.path.startswith(("decisions/break-1.json", "journal.jsonl"))


def test_a_break_taken_out_is_found(broken: RunFolder) -> None:
    def take_out(records: list[dict[str, object]]) -> None:
        records.remove(find(records, "lock_broken"))

    forge(broken.path, take_out)
    with pytest.raises(errors.VerificationError):
        verify.check_run(broken)


def test_a_break_that_was_never_signed_is_found(contoh: Office) -> None:
    """A decision's signature does not serve for a break, nor a break's for another moment."""
    folder = contoh.start()
    contoh.go_on(folder, {})
    contoh.free(folder)
    contoh.go_on(folder, {}, resumed=True)
    first = find(read_journal(folder.path), "lock_broken")
    book = journal.Journal(folder.journal, contoh.clock)
    with book.lock():
        again = {key: first[key] for key in ("person", "reason", "statement", "signature")}
        book.append("lock_broken", **again)
    with pytest.raises(errors.VerificationError):
        verify.check_run(folder)


def test_work_on_freed_hosts_cannot_be_in_a_journal(broken: RunFolder) -> None:
    """The record of taking them again, taken out: then the work after the break was on freed hosts."""

    def take_out(records: list[dict[str, object]]) -> None:
        records.remove(find(records, "run_resumed"))
        for seq, said in enumerate(records, start=1):
            if "as_of" in said:
                said["as_of"] = seq - 1

    forge(broken.path, take_out)
    with pytest.raises(errors.VerificationError) as caught:
        verify.check_run(broken)
    assert "the hosts were freed, and the run was not resumed since" in str(caught.value)


def test_a_half_made_break_beside_an_open_run_is_no_stranger(contoh: Office) -> None:
    folder = contoh.start()
    (folder.path / "decisions").mkdir()
    (folder.path / BREAK).write_bytes(b"half")
    verify.check_run(folder)


# What the host is told ------------------------------------------------------------------------------------


def test_a_changing_part_claims_its_hosts_by_the_runs_first_record(contoh: Office) -> None:
    over = contoh.start()
    contoh.go_on(over, APPROVED)
    freed = start_on(contoh, contoh.hosts)
    contoh.free(freed)
    folder = contoh.start()
    contoh.go_on(folder, APPROVED)
    asked = [request for request in contoh.playbooks.requests if request.run == folder.name]
    first = {run: journal.read(run.journal)[0].digest for run in (over, freed, folder)}
    expected = {"run": folder.name, "started": first[folder], "operator": "pengelola"}
    assert {json.dumps(dict(request.claim)) for request in asked} == {json.dumps(expected)}
    assert next(request.ended for request in asked if request.changes) == (first[over], first[freed])
    # Freed hosts are held no more; what the run made in a repository is needed until it is closed.
    assert {request.open_runs for request in asked} == {(freed.name, folder.name)}
    assert holds.ended(contoh.workspace) == tuple(first.values())


def test_an_open_or_unreadable_run_is_never_told_to_be_over(contoh: Office) -> None:
    folder = contoh.start()
    assert holds.ended(contoh.workspace) == ()
    assert [one.name for one in holds.open_runs(contoh.workspace)] == [folder.name]
    for left in (b"rubbish\n", b"", b'{"torn'):
        folder.journal.write_bytes(left)
        assert holds.ended(contoh.workspace) == ()
        assert [one.name for one in holds.open_runs(contoh.workspace)] == [folder.name]


# The lock that another controller's run left on hosts ----------------------------------------------------


def release(office: Office, run: str, official: str = "kabid", reason: str = "Pindah", key: str = "") -> None:
    playbook = office.workspace.playbooks / "release-hosts.yml"
    word = freeing.Word(official, reason, office.key(key or official))
    at = office.clock.now().at
    given = {"at": at, "playbook": playbook, "executor": office.playbooks}
    freeing.release_hosts(run, office.inventory, office.roster, word, **given)  # type: ignore[arg-type]


def test_a_run_of_another_controller_is_freed_on_its_hosts_by_a_signed_word(contoh: Office) -> None:
    words: list[dict[str, str]] = []
    contoh.playbooks.before = lambda asked: words.append(json.loads((asked.word or Path()).read_bytes()))
    release(contoh, "2026-01-01-elsewhere-1")
    (asked,) = contoh.playbooks.requests
    (word,) = words
    said = json.loads(word["statement"])
    signers = contoh.roster.allowed_signers()
    assert signing.is_signed_by(word["statement"].encode(), word["signature"].encode(), "kabid", signers)
    assert (said["run"], said["hosts"], said["reason"]) == (asked.run, list(asked.hosts), "Pindah")
    assert (asked.hosts, asked.changes) == (contoh.hosts, True)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"run": "{{ 1 }}"}, "is no run's id"),
        ({"run": "../x"}, "is no run's id"),
        ({"reason": " "}, "needs a reason"),
        ({"official": "nobody"}, "not in the roster"),
        ({"key": "stranger"}, "is not the key of Nama Kabid"),
    ],
)
def test_hosts_are_not_freed_without_ground(contoh: Office, given: dict[str, str], told: str) -> None:
    with pytest.raises(errors.InputError, match=told):
        release(contoh, **{"run": "elsewhere-1", **given})
    assert contoh.playbooks.requests == []
