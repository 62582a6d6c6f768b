"""Two judges, one verdict: ``rawat verify`` and the script in every bag, on whole and attacked archives."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runner import cli_archive, errors, verify
from runner.outside import Outside

from .archives import OFFICIALS, SIGNERS, Attacked, make_archive
from .cases import CASES, Case, put_back, write_cases

SCRIPT = Path(verify.__file__).with_name("auditor") / "verifikasi.sh"


@pytest.fixture(scope="module", name="whole")
def _whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_archive(tmp_path_factory.mktemp("conformance"))


def given(attacked: Attacked) -> Outside:
    points = [attacked.outside / f"{name}.checkpoint" for name in attacked.checkpoints]
    signers = attacked.outside / SIGNERS if attacked.signers else None
    officials = attacked.outside / OFFICIALS if attacked.officials else None
    return Outside(tuple(points), signers, officials, tuple(attacked.papers))


def by_rawat(judged: Path, outside: Outside) -> str:
    """Return what rawat says is wrong, "" for nothing."""
    try:
        verify.verify(judged, outside)
    except errors.VerificationError as error:
        return str(error)
    return ""


def script(judged: Path, outside: Outside) -> subprocess.CompletedProcess[str]:
    options = [option for point in outside.checkpoints for option in ("--checkpoint", str(point))]
    options += ["--signers", str(outside.signers)] if outside.signers else []
    options += ["--officials", str(outside.officials)] if outside.officials else []
    options += [option for text in outside.printed for option in ("--printed", text)]
    # Its own copy, as the instructions say: the one in the bag may be the attacker's.
    return subprocess.run(
        ["sh", str(SCRIPT), *options, str(judged)],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
        timeout=120,
    )


def by_script(judged: Path, outside: Outside) -> str:
    """Return what the script says is wrong, "" for nothing."""
    done = script(judged, outside)
    assert done.returncode in {0, 5}, done.stdout + done.stderr
    assert done.stderr == ""
    assert done.stdout.startswith("TIDAK SAH: " if done.returncode else "SAH: "), done.stdout
    return done.stdout.strip() if done.returncode else ""


@pytest.mark.parametrize("entry", CASES, ids=[entry.name for entry in CASES])
def test_both_judges_come_to_the_verdict(entry: Case, whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path / "case")
    attacked = Attacked(
        tmp_path / "case", entry.target, entry.checkpoints, entry.signers, entry.officials, entry.printed
    )
    entry.make(attacked)
    judged, outside = attacked.judged, given(attacked)

    rawat, plain = by_rawat(judged, outside), by_script(judged, outside)

    assert entry.holds == (not rawat), rawat
    assert (entry.holds or bool(entry.blind)) == (not plain), plain
    assert rawat.isprintable()


@pytest.mark.parametrize(
    ("printed", "target", "told"),
    [
        ("12", "all", "what a footer says of the register"),
        ("0:" + "a" * 16, "all", "what a footer says of the register"),
        ("1:" + "a" * 8, "all", "what a footer says of the register"),
        ("1:" + "G" * 16, "all", "what a footer says of the register"),
        ("1:" + "a" * 16, "alone", "without its register"),
    ],
)
def test_both_refuse_what_no_footer_says_and_what_has_no_register(
    whole: Path, tmp_path: Path, printed: str, target: str, told: str
) -> None:
    shutil.copytree(whole, tmp_path / "case")
    judged, outside = Attacked(tmp_path / "case", target).judged, Outside(printed=(printed,))
    with pytest.raises(errors.InputError, match=told):
        verify.verify(judged, outside)
    done = script(judged, outside)
    assert (done.returncode, done.stdout, told in done.stderr) == (2, "", True), done.stderr


def test_both_name_a_run_that_only_its_gate_s_checkpoint_knows(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path / "case")
    attacked = Attacked(tmp_path / "case", "all", ("gate",))
    put_back(attacked)
    known = json.loads((attacked.outside / "gate.checkpoint").read_bytes().splitlines()[0])["run"]
    for judged in (attacked.judged, attacked.bag):
        found = verify.verify(judged, given(attacked)).held
        assert (found.checkpoints, [vars(chain) for chain in found.unsealed]) == (0, [known])
        done = script(judged, given(attacked))
        told = f"PERHATIAN: titik periksa mengenal {known['records']} catatan pelaksanaan {known['run']}"
        assert (done.returncode, told in done.stdout) == (0, True), done.stdout
    again = given(Attacked(tmp_path / "case", "all", ("gate", "first")))
    assert verify.verify(attacked.root, again).held.checkpoints == 1
    whole_again = verify.verify(whole / "archive", given(Attacked(whole, "all", ("gate",)))).held
    assert (whole_again.checkpoints, whole_again.unsealed) == (1, ())
    assert "PERHATIAN" not in script(whole / "archive", given(Attacked(whole, "all", ("gate",)))).stdout


def test_the_command_line_counts_no_checkpoint_of_a_run_that_is_not_there(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(whole, tmp_path / "case")
    attacked = Attacked(tmp_path / "case", "all", ("gate",))
    put_back(attacked)
    cli_archive.verify_command(attacked.judged, list(given(attacked).checkpoints))
    told = capsys.readouterr().out
    assert "records of run 2026-11-21-contoh-arsip-2, which the register does not name" in told
    assert "held against" not in told


def test_both_refuse_keys_of_officials_that_are_not_there(whole: Path) -> None:
    outside = Outside(officials=whole / "outside" / "nobody.signers")
    with pytest.raises(errors.InputError, match=r"nobody\.signers cannot be read"):
        verify.verify(whole / "archive", outside)
    done = script(whole / "archive", outside)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "--officials needs a file\n")


def test_a_footer_is_typed_with_or_without_the_dots_of_its_number(whole: Path) -> None:
    records, digest = (whole / "outside" / "newest.printed").read_text().strip().split(":")
    outside = Outside(printed=(f"{records}.:{digest}",))
    assert by_rawat(whole / "archive", outside) == by_script(whole / "archive", outside) == ""


def test_there_are_enough_cases_and_few_that_the_script_cannot_see() -> None:
    tampered = [entry for entry in CASES if not entry.holds]
    assert len({entry.name for entry in CASES}) == len(CASES) >= 60
    assert len(tampered) >= 40
    assert len([entry for entry in CASES if entry.blind]) <= 5


def test_the_script_in_the_bag_is_the_one_that_was_tried(whole: Path) -> None:
    for found in whole.glob("archive/2026/*"):
        assert SCRIPT.read_bytes() == (found / "verifikasi.sh").read_bytes()


@pytest.mark.campaign
@pytest.mark.timeout(3600)
def test_every_case_on_the_disk_is_judged_alike_by_the_command_line(whole: Path, tmp_path: Path) -> None:
    """As another judge would be tried: from ``case.json`` alone."""
    write_cases(whole, tmp_path / "cases")
    wrong = {}
    for told in sorted((tmp_path / "cases").glob("*/case.json")):
        place, case = told.parent, json.loads(told.read_text())
        options = [option for point in case["checkpoints"] for option in ("--checkpoint", str(place / point))]
        options += ["--signers", str(place / case["signers"])] if case["signers"] else []
        options += ["--officials", str(place / case["officials"])] if case["officials"] else []
        options += [option for text in case["printed"] for option in ("--printed", text)]
        command = [sys.executable, "-m", "runner", "verify", str(place / case["judged"]), *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != (0 if case["holds"] else 5):
            wrong[place.name] = (done.returncode, done.stderr)
    assert wrong == {}
    assert len(list((tmp_path / "cases").iterdir())) == len(CASES)
