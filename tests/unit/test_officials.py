"""The roster: what a wrong one tells, and that two persons can never be one signer."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner import errors
from runner.officials import Roster, load_roster, roster_from_snapshot

KEY_1 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB"
KEY_2 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAC"
GOOD = f"""\
office: Dinas Contoh
timezone: Asia/Jakarta
operator: petugas
officials:
  - id: petugas
    name: Nama Petugas
    nip: "000000000000000001"
    positions: [Petugas Contoh]
    key: {KEY_1} petugas@contoh
  - id: kepala
    name: Nama Kepala
    nip: "000000000000000002"
    positions: [Kepala Contoh, Plt Petugas Contoh]
    key: keys/kepala.pub
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "kepala.pub").write_text(f"{KEY_2} a comment\n", encoding="ascii")
    path = tmp_path / "officials.yml"
    path.write_text(GOOD, encoding="utf-8")
    return path


def told(file: Path, old: str, new: str) -> str:
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1, old
    file.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(errors.InputError) as caught:
        load_roster(file)
    return str(caught.value).replace(str(file), "officials.yml").replace(str(file.parent), "")


def test_keys_are_read_from_the_roster_or_from_files_beside_it(file: Path) -> None:
    assert [official.key for official in load_roster(file).officials] == [KEY_1, KEY_2]


def test_a_position_may_be_held_beside_another(file: Path) -> None:
    assert [o.id for o in load_roster(file).holders("Plt Petugas Contoh")] == ["kepala"]


def test_a_position_that_nobody_holds_has_no_holders(file: Path) -> None:
    assert load_roster(file).holders("Walikota") == []


def test_a_roster_without_officials_is_read_and_lets_nobody_decide(tmp_path: Path) -> None:
    file = tmp_path / "officials.yml"
    file.write_text("office: Dinas Contoh\n", encoding="utf-8")
    assert load_roster(file).officials == []


def test_a_run_s_copy_of_the_roster_is_the_roster(file: Path) -> None:
    roster = load_roster(file)
    assert roster_from_snapshot(roster.snapshot()) == roster


def test_signers_are_bound_to_the_namespace_of_decisions(file: Path) -> None:
    assert load_roster(file).allowed_signers().decode().splitlines() == [
        f'petugas namespaces="rawat-decision" {KEY_1}',
        f'kepala namespaces="rawat-decision" {KEY_2}',
    ]


def test_a_person_in_a_record_outlives_the_roster(file: Path) -> None:
    assert load_roster(file).officials[1].person() == {
        "id": "kepala",
        "name": "Nama Kepala",
        "nip": "000000000000000002",
        "position": "Kepala Contoh, Plt Petugas Contoh",
    }


BROKEN = {
    "no office": ("office: Dinas Contoh\n", "", "officials.yml:1: office: Field required"),
    "unknown time zone": (
        "Asia/Jakarta",
        "Asia/Solo",
        "officials.yml:2: timezone: Value error, is not a time zone such as Asia/Jakarta",
    ),
    "operator who is nobody": (
        "operator: petugas",
        "operator: tamu",
        "officials.yml:3: operator 'tamu' is not an official",
    ),
    "short staff number": (
        '"000000000000000001"',
        '"01"',
        "officials.yml:7: officials[0].nip: String should match pattern '^\\d{18}$'",
    ),
    "staff number without quotes": (
        '"000000000000000002"',
        "199001012020121001",
        "officials.yml:12: officials[1].nip: Input should be a valid string",
    ),
    "id with capitals": (
        "id: kepala",
        "id: Kepala",
        "officials.yml:10: officials[1].id: String should match pattern '^[a-z][a-z0-9-]*$'",
    ),
    "id twice": ("id: kepala", "id: petugas", "officials.yml:10: official 'petugas' stands twice"),
    "unknown key": (
        "    name: Nama Kepala",
        "    name: Nama Kepala\n    jabatan: Kepala",
        "officials.yml:12: officials[1].jabatan: Extra inputs are not permitted",
    ),
    "key file that is not there": (
        "keys/kepala.pub",
        "keys/lain.pub",
        "officials.yml:14: the public key of 'kepala' cannot be read from /keys/lain.pub",
    ),
    "no key": (
        f"{KEY_1} petugas@contoh",
        "ssh-ed25519",
        "officials.yml:9: the key of 'petugas' is not an OpenSSH public key",
    ),
    "key that is no base64": (
        f"{KEY_1} petugas@contoh",
        "ssh-ed25519 ???",
        "officials.yml:9: the key of 'petugas' is not an OpenSSH public key",
    ),
    "two persons, one key": (
        "keys/kepala.pub",
        KEY_1,
        "officials.yml:14: officials 'petugas' and 'kepala' have the same key",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_wrong_roster_is_told_with_its_line(file: Path, case: str) -> None:
    old, new, expected = BROKEN[case]
    assert told(file, old, new) == expected


def test_a_roster_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(errors.InputError, match="cannot be read: No such file or directory"):
        load_roster(tmp_path / "officials.yml")


def test_one_person_may_stand_twice_with_one_key(file: Path) -> None:
    text = file.read_text(encoding="utf-8").replace("keys/kepala.pub", KEY_1).replace('2"', '1"')
    file.write_text(text, encoding="utf-8")
    assert len(load_roster(file).officials) == 2


def test_a_private_key_is_never_taken_for_a_public_one(file: Path) -> None:
    private = "-----BEGIN OPENSSH " + "PRIVATE KEY-----\nAAAA\n-----END OPENSSH " + "PRIVATE KEY-----\n"
    (file.parent / "keys" / "kepala.pub").write_text(private, encoding="ascii")
    with pytest.raises(errors.InputError, match="is not an OpenSSH public key"):
        load_roster(file)


def test_a_roster_made_in_code_defaults_to_the_time_of_jakarta() -> None:
    assert Roster(office="Dinas Contoh").timezone == "Asia/Jakarta"
