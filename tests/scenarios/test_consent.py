"""What is signed at the command line is what its signer has seen, and what he types is text."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pexpect
import pytest
from click.testing import Result
from typer.testing import CliRunner

from runner import cli, consent, errors, gates, record, typed, verify
from runner.engine import Waiting
from runner.gates import Choice
from runner.officials import Roster
from runner.workspace import RunFolder
from scenarios.office import Office, events_of, with_deputy
from scenarios.test_roster_change import without

ROOT = Path(__file__).parents[2]
APPROVE = ("decide", "--outcome", "disetujui", "--official", "kabid")
Rawat = Callable[..., Result]


@pytest.fixture
def waiting(contoh: Office, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    folder = contoh.start()
    assert isinstance(contoh.go_on(folder, {}), Waiting)
    monkeypatch.setenv("RAWAT_RUNS", str(folder.path.parent))
    monkeypatch.setenv("RAWAT_ROOT", str(contoh.root))
    (contoh.root / "inventory").mkdir(exist_ok=True)
    (contoh.root / "inventory" / "keys").symlink_to(contoh.keys)
    put_roster(contoh, contoh.roster)
    return folder


def put_roster(office: Office, said: Roster) -> None:
    """Write the office's officials.yml anew."""
    data = said.model_dump(mode="json", by_alias=True, exclude_none=True, exclude={"former"})
    (office.root / "inventory" / "officials.yml").write_text(json.dumps(data), encoding="utf-8")


@pytest.fixture
def rawat() -> Rawat:
    return lambda *arguments, **how: CliRunner().invoke(cli.app, arguments, **how)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commands of this process take what is typed as typed at a terminal."""
    monkeypatch.setattr(consent, "at_terminal", lambda: True)


def code_of(folder: RunFolder) -> str:
    gate = record.load(folder).state.gate
    assert gate is not None
    return gates.code(folder.name, gate)


def decided(folder: RunFolder) -> list[str]:
    return [made["outcome"] for made in events_of(folder, "decision_made")]


# Decisions --------------------------------------------------------------------------------------------


def test_without_an_outcome_the_gate_is_shown_and_nothing_is_signed(rawat: Rawat, waiting: RunFolder) -> None:
    shown = rawat("decide", waiting.name)
    assert shown.exit_code == 0
    gate = record.load(waiting).state.gate
    assert gate is not None
    for told in (code_of(waiting), str(gate.subject["plan"]), "1.0-1+deb12u1", "awaited: Kepala Contoh"):
        assert told in shown.stdout
    assert code_of(waiting) in rawat("status", waiting.name).stdout
    assert json.loads(rawat("status", "--json").stdout)["awaited"]["code"] == code_of(waiting)
    assert decided(waiting) == []


def test_without_a_terminal_and_a_code_nothing_is_signed(rawat: Rawat, waiting: RunFolder) -> None:
    refused = rawat(*APPROVE)
    assert isinstance(refused.exception, errors.InputError)
    assert "without a terminal nobody can be asked" in str(refused.exception)
    assert refused.exception.hint.endswith(f"the same command with --gate {code_of(waiting)} signs it")
    assert code_of(waiting) in refused.stdout
    assert decided(waiting) == []


def test_the_code_of_the_gate_that_was_seen_signs(rawat: Rawat, waiting: RunFolder) -> None:
    done = rawat(*APPROVE, "--gate", f" {code_of(waiting).upper()}")
    assert (done.exit_code, decided(waiting)) == (0, ["disetujui"])
    assert "1.0-1+deb12u1" not in done.stdout  # it was looked at before
    verify.check_run(waiting)


def test_a_gate_that_changed_since_it_was_looked_at_is_not_decided(
    contoh: Office, rawat: Rawat, waiting: RunFolder
) -> None:
    seen = code_of(waiting)
    contoh.decide(waiting, "periksa ulang", "kabid")
    contoh.go_on(waiting, {}, resumed=True)
    refused = rawat(*APPROVE, "--gate", seen)
    assert "is not the code of what is open now" in str(refused.exception)
    assert decided(waiting) == ["periksa ulang"]


@pytest.mark.parametrize("change", ["roster", "plan"])
def test_a_change_between_showing_and_signing_is_noticed(
    contoh: Office, rawat: Rawat, waiting: RunFolder, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    """The gate was shown; while the person still thinks about it, it becomes another one."""

    def answer(_question: str) -> str:
        if change == "roster":
            contoh.change_roster(waiting, with_deputy(contoh.roster))
        else:
            contoh.decide(waiting, "periksa ulang", "kabid")
            contoh.go_on(waiting, {}, resumed=True)
        return "y"

    monkeypatch.setattr(consent, "at_terminal", lambda: True)
    monkeypatch.setattr(consent, "read_line", answer)
    refused = rawat(*APPROVE)
    assert "this is another gate than was shown" in str(refused.exception)
    assert "disetujui" not in decided(waiting)


@pytest.mark.usefixtures("terminal")
def test_at_a_terminal_the_gate_is_shown_and_asked(rawat: Rawat, waiting: RunFolder) -> None:
    for answer in ("\n", "n\n", "tidak\n", ""):
        refused = rawat(*APPROVE, input=answer)
        assert str(refused.exception) == "nothing was signed"
        assert "1.0-1+deb12u1" in refused.stdout
    assert decided(waiting) == []
    done = rawat(*APPROVE, input="y\n")
    assert done.exit_code == 0, done.exception
    assert "Sign as Nama Kabid (kabid) to decide 'disetujui'? [y/N]" in done.stdout
    assert decided(waiting) == ["disetujui"]


def test_at_a_real_terminal_it_is_the_same(contoh: Office, waiting: RunFolder) -> None:
    arguments = ["-m", "runner", *APPROVE, "--key", str(contoh.key("kabid"))]
    child = pexpect.spawn(sys.executable, arguments, cwd=str(ROOT), env=dict(os.environ), timeout=30)
    child.expect_exact("gate code")
    child.expect_exact("[y/N]")
    child.sendline("y")
    child.expect_exact("go on with: rawat resume")
    child.expect(pexpect.EOF)
    child.close()
    assert (child.exitstatus, decided(waiting)) == (0, ["disetujui"])


def test_a_paper_is_confirmed_as_it_was_seen(rawat: Rawat, waiting: RunFolder, tmp_path: Path) -> None:
    scan = tmp_path / "scan.pdf"
    scan.write_bytes(b"%PDF-1.7")
    before = code_of(waiting)
    entry = (*APPROVE, "--wet-ink", str(scan), "--entered-by", "pengelola")
    assert rawat(*entry, "--gate", before).exit_code == 0
    confirm = ("decide", "--confirm", "--official", "pranata")
    assert "not the code of what is open" in str(rawat(*confirm, "--gate", before).exception)
    assert rawat(*confirm, "--gate", code_of(waiting)).exit_code == 0
    assert decided(waiting) == ["disetujui"]


def test_who_signs_is_said(rawat: Rawat, waiting: RunFolder) -> None:
    assert "give --official ID" in str(rawat("decide", waiting.name, "--outcome", "disetujui").exception)
    refused = rawat("decide", "--outcome", "disetujui", "--official", "siapa").exception
    assert "'siapa' is not in the roster of officials" in str(refused)


def test_at_no_gate_there_is_nothing_to_show(contoh: Office, rawat: Rawat, waiting: RunFolder) -> None:
    contoh.decide(waiting, "disetujui", "kabid")
    assert "row 2 was decided by Nama Kabid (disetujui)" in str(rawat("decide").exception)


def test_the_code_is_another_once_anything_that_is_shown_changes(contoh: Office, waiting: RunFolder) -> None:
    now = record.load(waiting)
    gate = now.state.gate
    assert gate is not None
    contoh.decide(waiting, "periksa ulang", "kabid")
    contoh.go_on(waiting, {}, resumed=True)
    vote = events_of(waiting, "gate_opened")
    assert len({made["nonce"] for made in vote}) == len(vote) == 2
    assert gates.code(waiting.name, gate) != code_of(waiting)
    assert gates.code("another run", gate) != gates.code(waiting.name, gate)


# The roster -------------------------------------------------------------------------------------------

CHANGE = ("roster", "--official", "kabid", "--reason", "Nota dinas 12")


def test_the_change_is_shown_in_plain_words_first(contoh: Office, rawat: Rawat, waiting: RunFolder) -> None:
    put_roster(contoh, without(with_deputy(contoh.roster), "pranata"))
    shown = rawat("roster", waiting.name)
    assert shown.exit_code == 0, shown.exception
    assert "+ Nama Analis (analis) is named deputy: Plh. Kepala Contoh from 2026-11-21" in shown.stdout
    assert "- Nama Pranata (pranata) goes: NIP 000000000000000003" in shown.stdout
    assert events_of(waiting, "roster_changed") == []


def test_the_change_is_signed_by_its_code(contoh: Office, rawat: Rawat, waiting: RunFolder) -> None:
    put_roster(contoh, with_deputy(contoh.roster))
    refused = rawat(*CHANGE)
    assert "without a terminal nobody can be asked" in str(refused.exception)
    code = rawat("roster").stdout.rpartition("code of this change: ")[2].strip()
    put_roster(contoh, with_deputy(contoh.roster, official="pranata"))
    assert "not the code of what is open" in str(rawat(*CHANGE, "--change", code).exception)
    put_roster(contoh, with_deputy(contoh.roster))
    before = code_of(waiting)
    done = rawat(*CHANGE, "--change", code)
    assert done.exit_code == 0, done.exception
    assert code_of(waiting) != before
    assert "roster changed by Nama Kabid" in rawat("status").stdout
    (told,) = json.loads(rawat("status", "--json").stdout)["roster_changes"]
    assert (told["by"], told["reason"], told["changes"][0]["field"]) == ("kabid", "Nota dinas 12", "deputy")
    verify.check_run(waiting)
    assert "nothing differs" in str(rawat("roster").exception)


@pytest.mark.usefixtures("terminal")
def test_the_change_is_asked_at_a_terminal(contoh: Office, rawat: Rawat, waiting: RunFolder) -> None:
    other = contoh.root / "baru.yml"
    put_roster(contoh, with_deputy(contoh.roster))
    (contoh.root / "inventory" / "officials.yml").rename(other)
    assert "nothing was signed" in str(rawat(*CHANGE, "--from", str(other), input="n\n").exception)
    assert rawat(*CHANGE, "--from", str(other), input="y\n").exit_code == 0
    assert len(events_of(waiting, "roster_changed")) == 1


# What is typed ----------------------------------------------------------------------------------------

COMMANDS = {
    "decide": ("decide", "--outcome", "dibatalkan", "--official", "kabid", "--reason"),
    "stop": ("stop", "--official", "kabid", "--reason"),
    "note": ("note", "--condition", "tidak normal", "--reason"),
    "break-lock": ("break-lock", "{run}", "--official", "kabid", "--reason"),
    "roster": ("roster", "--official", "kabid", "--reason"),
    "official": ("decide", "--outcome", "dibatalkan", "--official"),
    "outcome": ("decide", "--official", "kabid", "--outcome"),
    "gate": ("decide", "--official", "kabid", "--outcome", "dibatalkan", "--gate"),
    "condition": ("note", "--condition"),
    "run": ("status",),
}
TYPED = {
    "bytes": (b"a\xff\xfeb", "is not UTF-8 text"),
    "surrogate": (b"a\xed\xa0\x80b", "is not UTF-8 text"),
    "escape": (b"a\x1b[2J", "holds a character that cannot be seen: U+001B, the 2. of it"),
    "line": (b"a\nb", "U+000A"),
    "direction": ("a\u202eb".encode(), "U+202E"),
    "100 kB": (b"x" * 100_000, "is longer than"),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("what", TYPED)
def test_what_no_record_can_hold_is_refused_in_one_line(
    waiting: RunFolder,
    command: str,
    what: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    typed_bytes, told = TYPED[what]
    before = waiting.journal.read_bytes()
    arguments = [argument.format(run=waiting.name) for argument in COMMANDS[command]]
    arguments.append(os.fsdecode(typed_bytes))
    monkeypatch.setattr(sys, "argv", ["rawat", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    error = capsys.readouterr().err
    assert ended.value.code == 2
    assert told in error
    assert len(error) < 500
    assert error.count("error: ") == 1
    assert waiting.journal.read_bytes() == before


def test_so_it_is_with_real_bytes_in_a_real_process(waiting: RunFolder) -> None:
    reason = b"a\xff\x1b[2Jb"
    command = [sys.executable, "-m", "runner", *APPROVE, "--reason", reason]
    done = subprocess.run(command, check=False, capture_output=True, cwd=ROOT, timeout=60)
    assert done.returncode == 2
    assert b"error: --reason is not UTF-8 text" in done.stderr
    assert b"Traceback" not in done.stderr
    assert decided(waiting) == []


def test_at_a_prompt_it_is_asked_for_again(capsys: pytest.CaptureFixture[str]) -> None:
    answers = iter(["a\x07b", "x" * 5000, "\udcff", "Alasan"])

    def read(_question: str) -> str:
        answer = next(answers)
        if answer == "\udcff":
            raise UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")
        return answer

    assert typed.read_line("?", read) == "Alasan"
    assert capsys.readouterr().out.count("please type it again") == 3


def test_a_choice_is_as_it_was_typed(contoh: Office, waiting: RunFolder) -> None:
    """What is checked where it comes in is not changed: umlauts, accents and other scripts are text."""
    reason = "Żółć, 中文, naïve, 5 ≥ 3 \N{GRINNING FACE}"
    assert typed.problem(reason) is None
    contoh.engine(waiting).decide(Choice("kabid", "dibatalkan", reason), contoh.key("kabid"))
    assert events_of(waiting, "decision_made")[0]["reason"] == reason


def test_who_closed_the_input_is_at_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert not consent.at_terminal()
