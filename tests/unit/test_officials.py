"""The roster: what a wrong one tells, and that two persons can never be one signer."""

from __future__ import annotations

import base64
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from runner import errors
from runner.officials import Roster, load_roster

KEY_1 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB"
KEY_2 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAC"
DAY = date(2026, 11, 22)
# The last digit of base64 may have bits that are no part of the key; ssh-keygen ignores them.
SPELLED = f"ssh-rsa {base64.b64encode(bytes([0, 0, 0, 7]) + b'ssh-rsa' + bytes(5)).decode()}"
OTHER_SPELLING = f"""\
  - id: juru
    name: Nama Juru
    nip: "000000000000000003"
    positions: []
    key: {SPELLED.replace("A==", "B==")}"""
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
    positions: [Kepala Contoh, Juru Contoh]
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
    assert [h.official.id for h in load_roster(file).holders("Juru Contoh", DAY)] == ["kepala"]


def test_a_position_that_nobody_holds_has_no_holders(file: Path) -> None:
    assert load_roster(file).holders("Walikota", DAY) == []


def test_a_roster_without_officials_is_read_and_lets_nobody_decide(tmp_path: Path) -> None:
    file = tmp_path / "officials.yml"
    file.write_text("office: Dinas Contoh\n", encoding="utf-8")
    assert load_roster(file).officials == []


def test_a_run_s_copy_of_the_roster_is_the_roster(file: Path) -> None:
    roster = load_roster(file)
    assert Roster.from_snapshot(roster.snapshot(), "officials.json") == roster


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
        "position": "Kepala Contoh, Juru Contoh",
        "deputy": None,
    }


NIP = "expected a staff number of 18 digits, between quotes"
ID = "expected a short name in small letters, without spaces"
BROKEN = {
    "no office": ("office: Dinas Contoh\n", "", "officials.yml:1: office: is missing"),
    "unknown time zone": (
        "Asia/Jakarta",
        "Asia/Solo",
        "officials.yml:2: timezone: is not a time zone such as Asia/Jakarta, got 'Asia/Solo'",
    ),
    "operator who is nobody": (
        "operator: petugas",
        "operator: tamu",
        "officials.yml:3: operator 'tamu' is not an official",
    ),
    "short staff number": (
        '"000000000000000001"',
        '"01"',
        f"officials.yml:7: officials[0].nip: {NIP}, got '01'",
    ),
    "staff number without quotes": (
        '"000000000000000002"',
        "199001012020121001",
        f"officials.yml:12: officials[1].nip: {NIP}, got 199001012020121001",
    ),
    "id with capitals": (
        "id: kepala",
        "id: Kepala",
        f"officials.yml:10: officials[1].id: {ID}, got 'Kepala'",
    ),
    "id twice": ("id: kepala", "id: petugas", "officials.yml:10: official 'petugas' stands twice"),
    "unknown key": (
        "    name: Nama Kepala",
        "    name: Nama Kepala\n    jabatan: Kepala",
        "officials.yml:12: officials[1].jabatan: is not a known key",
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


VALID = "    valid: {from: 2026-01-01, until: 2026-12-31}\n"
DEPUTY = """\
deputies:
  - official: petugas
    position: Kepala Contoh
    kind: Plh
    from: 2026-11-01
    until: 2026-11-30
    letter: 800/12/2026 tanggal 30 Oktober 2026
"""
AT_END = "    key: keys/kepala.pub\n"
BROKEN |= {
    "days that are no days": (
        AT_END,
        f"{AT_END}    valid: {{from: 2026-02-30}}\n",
        "officials.yml:15: officials[1].valid.from: day is out of range for month, got '2026-02-30'",
    ),
    "a day in other order": (
        AT_END,
        f"{AT_END}    valid: {{until: 31-12-2026}}\n",
        "officials.yml:15: officials[1].valid.until: expected a day such as 2026-01-31, got '31-12-2026'",
    ),
    "a day that is a number": (
        AT_END,
        f"{AT_END}    valid: {{until: 2026}}\n",
        "officials.yml:15: officials[1].valid.until: expected a day such as 2026-01-31",
    ),
    "validity that ends before it begins": (
        AT_END,
        f"{AT_END}    valid: {{from: 2026-12-31, until: 2026-01-01}}\n",
        "officials.yml:15: officials[1].valid: ends on 2026-01-01, before 2026-12-31",
    ),
    "deputy who is nobody": (
        AT_END,
        AT_END + DEPUTY.replace("petugas", "tamu"),
        "officials.yml:16: deputy 'tamu' is not an official",
    ),
    "deputy in his own position": (
        AT_END,
        AT_END + DEPUTY.replace("petugas", "kepala"),
        "officials.yml:17: deputy 'kepala' holds Kepala Contoh himself",
    ),
    "deputy of another kind": (
        AT_END,
        AT_END + DEPUTY.replace("Plh", "Pj"),
        "officials.yml:18: deputies[0].kind: expected 'Plt' or 'Plh', got 'Pj'",
    ),
    "deputy without a last day": (
        AT_END,
        AT_END + DEPUTY.replace("    until: 2026-11-30\n", ""),
        "officials.yml:16: deputies[0].until: is missing",
    ),
    "deputy who ends before he begins": (
        AT_END,
        AT_END + DEPUTY.replace("2026-11-30", "2026-10-30"),
        "officials.yml:16: deputies[0]: ends on 2026-10-30, before 2026-11-01",
    ),
    "deputy without a letter": (
        AT_END,
        AT_END + DEPUTY.replace("800/12/2026 tanggal 30 Oktober 2026", '""'),
        "officials.yml:21: deputies[0].letter: expected words, got ''",
    ),
    "staff number in other digits": (
        '"000000000000000002"',
        '"\u0660\u0660\u0660\u0660\u0660\u0660\u0660\u0660\u0660\u0660\u0660\u0660\u0660\u0660\u0660\u0660\u0660\u0661"',
        f"officials.yml:12: officials[1].nip: {NIP}, got {chr(0x660) * 17 + chr(0x661)!r}",
    ),
    "key that calls itself something else": (
        f"{KEY_1} petugas@contoh",
        KEY_1.replace("ssh-ed25519", "ssh-rsa"),
        "officials.yml:9: the key of 'petugas' is not an OpenSSH public key",
    ),
    "two persons, one key spelled in two ways": (
        "keys/kepala.pub",
        f"{SPELLED}\n{OTHER_SPELLING}",
        "officials.yml:19: officials 'kepala' and 'juru' have the same key",
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


# Dates and deputies -----------------------------------------------------------------------------------


def who(file: Path, on: str, position: str = "Kepala Contoh") -> list[tuple[str, str]]:
    return [(h.official.id, h.title) for h in load_roster(file).holders(position, date.fromisoformat(on))]


def append(file: Path, text: str) -> None:
    file.write_text(file.read_text(encoding="utf-8") + text, encoding="utf-8")


@pytest.mark.parametrize(
    ("on", "acts"), [("2025-12-31", 0), ("2026-01-01", 1), ("2026-12-31", 1), ("2027-01-01", 0)]
)
def test_an_official_is_one_from_the_first_to_the_last_day(file: Path, on: str, acts: int) -> None:
    append(file, VALID)
    assert len(who(file, on)) == acts


@pytest.mark.parametrize(
    ("line", "on"), [("{from: 2026-01-01}", "2099-01-01"), ("{until: 2026-01-01}", "1999-01-01")]
)
def test_an_end_that_is_left_out_is_open(file: Path, line: str, on: str) -> None:
    append(file, f"    valid: {line}\n")
    assert who(file, on) == [("kepala", "Kepala Contoh")]


@pytest.mark.parametrize(
    ("on", "acts"), [("2026-10-31", False), ("2026-11-01", True), ("2026-11-30", True), ("2026-12-01", False)]
)
def test_a_deputy_stands_in_from_the_first_to_the_last_day(file: Path, on: str, acts: bool) -> None:  # noqa: FBT001
    append(file, DEPUTY)
    assert (("petugas", "Plh. Kepala Contoh") in who(file, on)) is acts


def test_a_deputy_whose_own_validity_is_over_stands_in_for_nobody(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    key = f"    key: {KEY_1} petugas@contoh\n"
    file.write_text(text.replace(key, f"{key}    valid: {{until: 2026-11-10}}\n") + DEPUTY, encoding="utf-8")
    assert ("petugas", "Plh. Kepala Contoh") in who(file, "2026-11-10")
    assert ("petugas", "Plh. Kepala Contoh") not in who(file, "2026-11-11")


def test_a_vacant_position_may_have_a_deputy(file: Path) -> None:
    append(file, DEPUTY.replace("Kepala Contoh", "Camat").replace("Plh", "Plt"))
    assert who(file, "2026-11-22", "Camat") == [("petugas", "Plt. Camat")]


def test_a_deputy_in_a_record_names_kind_and_letter(file: Path) -> None:
    append(file, DEPUTY)
    deputy = load_roster(file).holders("Kepala Contoh", DAY)[1]
    assert deputy.person == {
        "id": "petugas",
        "name": "Nama Petugas",
        "nip": "000000000000000001",
        "position": "Kepala Contoh",
        "deputy": {"kind": "Plh", "letter": "800/12/2026 tanggal 30 Oktober 2026"},
    }


def test_days_and_deputies_are_in_a_run_s_copy(file: Path) -> None:
    append(file, VALID + DEPUTY)
    roster = load_roster(file)
    assert Roster.from_snapshot(roster.snapshot(), "officials.json") == roster
    assert b'"from":"2026-11-01"' in roster.snapshot()


def test_who_may_act_later_is_told_apart_from_who_never_may(file: Path) -> None:
    append(file, VALID + DEPUTY.replace("2026-11-01", "2027-01-10").replace("2026-11-30", "2027-01-20"))
    roster = load_roster(file)
    ever = {
        day: [h.official.id for h in roster.ever_holders("Kepala Contoh", date.fromisoformat(day))]
        for day in ("2025-01-01", "2026-12-31", "2027-01-01", "2027-01-20", "2027-01-21")
    }
    assert ever == {
        "2025-01-01": ["kepala", "petugas"],
        "2026-12-31": ["kepala", "petugas"],
        "2027-01-01": ["petugas"],
        "2027-01-20": ["petugas"],
        "2027-01-21": [],
    }


@pytest.mark.parametrize(
    ("zone", "day"), [("Asia/Jakarta", "2026-11-22"), ("Asia/Jayapura", "2026-11-23"), ("UTC", "2026-11-22")]
)
def test_a_day_is_the_office_s_own(zone: str, day: str) -> None:
    late = datetime(2026, 11, 22, 16, 30, tzinfo=UTC)
    assert Roster(office="Dinas Contoh", timezone=zone).day(late) == date.fromisoformat(day)


def test_days_are_told_in_words(file: Path) -> None:
    append(file, VALID)
    petugas, kepala = load_roster(file).officials
    assert (petugas.valid.days(), kepala.valid.days()) == ("always", "from 2026-01-01 until 2026-12-31")


@pytest.mark.parametrize("name", ["officials.yml", "keys/kepala.pub", ".", "keys"])
def test_what_everybody_of_the_machine_may_write_is_not_trusted(file: Path, name: str) -> None:
    open_one = (file.parent / name).resolve()
    mode = open_one.stat().st_mode
    open_one.chmod(mode | 0o002)
    with pytest.raises(errors.InputError, match="can be written by everybody of this machine") as caught:
        load_roster(file)
    assert str(caught.value).startswith(str(open_one))
    assert caught.value.hint.endswith(f"chmod o-w {open_one}")

    open_one.chmod(mode | 0o020)  # a group that shares the work is the office's own choice
    assert load_roster(file).officials


def test_a_folder_in_which_only_owners_replace_files_is_trusted(file: Path) -> None:
    file.parent.chmod(0o1777)
    assert load_roster(file).officials
