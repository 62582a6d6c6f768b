"""Every pair of operator and decider, at every gate of both SOPs: nobody decides on his own work.

Whom a roster may hold is here with all that could pass for somebody else: deputies, second accounts with the
same staff number or the same key, and officials of other days. What is right is told by a table, not by
the rules that are tested.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from runner.clock import Instant
from runner.gates import Choice, refusal
from runner.journal import Event
from runner.moves import Gate
from runner.officials import Official, Roster
from runner.sop import Sop, parse_sop

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
OPEN = {"from": "2026-11-20", "until": "2026-11-24"}
OVER = {"from": "2026-11-01", "until": "2026-11-21"}
LATER = {"from": "2026-11-23", "until": "2026-12-31"}
PENGELOLA = "Pengelola Sistem dan Jaringan"
ANALIS = "Analis Sistem Informasi dan Jaringan"
PRANATA = "JF Pranata Komputer Ahli Muda"
KABID = "Kepala Bidang Teknologi dan Informatika"


@dataclass(frozen=True)
class Account:
    """One line of the roster: whose it is, what it holds, what may be decided with it today."""

    person: int
    key: int
    positions: tuple[str, ...]
    valid: dict[str, str] | None = None
    deputy: tuple[str, dict[str, str]] | None = None
    decides: tuple[str, ...] = ()
    """The positions in which it may decide today, as an office would say."""


ACCOUNTS = {
    "pengelola": Account(1, 1, (PENGELOLA,), decides=(PENGELOLA,)),
    "analis": Account(2, 2, (ANALIS,), decides=(ANALIS,)),
    "pranata": Account(3, 3, (PRANATA,), decides=(PRANATA,)),
    "kabid": Account(4, 4, (KABID,), decides=(KABID,)),
    "kabid-lama": Account(5, 5, (KABID,), valid=OVER),
    "kabid-baru": Account(6, 6, (KABID,), valid=LATER),
    "semua": Account(7, 7, (PENGELOLA, ANALIS, PRANATA, KABID), decides=(PENGELOLA, ANALIS, PRANATA, KABID)),
    "plh-kabid": Account(8, 8, ("Staf",), deputy=(KABID, OPEN), decides=(KABID,)),
    "plt-analis": Account(9, 9, ("Staf",), deputy=(ANALIS, OPEN), decides=(ANALIS,)),
    "plh-lewat": Account(10, 10, ("Staf",), deputy=(KABID, OVER)),
    "plh-nanti": Account(11, 11, ("Staf",), deputy=(PRANATA, LATER)),
    "plh-bukan-pegawai-lagi": Account(12, 12, ("Staf",), valid=OVER, deputy=(KABID, OPEN)),
    "pengelola-plh-analis": Account(1, 1, ("Staf",), deputy=(ANALIS, OPEN), decides=(ANALIS,)),
    "pengelola-akun-kedua": Account(1, 13, (KABID, PRANATA), decides=(KABID, PRANATA)),
    "kabid-akun-kedua": Account(4, 14, (ANALIS,), decides=(ANALIS,)),
    # The same key under another number: a file with it is not read, but a forged copy could hold it.
    "pengelola-kunci-sama": Account(15, 1, (ANALIS, KABID), decides=(ANALIS, KABID)),
    "staf": Account(16, 16, ("Staf",)),
}


def _official(name: str, account: Account, named: dict[str, str]) -> Official:
    return Official.model_validate(
        {
            "id": name,
            "name": f"Nama {name}",
            "nip": f"{account.person:018d}",
            "positions": [named.get(position, position) for position in account.positions],
            "key": f"ssh-ed25519 {account.key}",
            "valid": account.valid or {},
        }
    )


POSITIONS = {
    "surakarta-system-update.yml": {},
    "palembang-information-system-maintenance.yml": {
        PENGELOLA: "Staf TI", ANALIS: "Kasubbag Adum", KABID: "Kuasa Pengguna Anggaran",
    },
}  # fmt: skip
"""Who of the accounts' positions has which in the other SOP."""


def _roster(named: dict[str, str]) -> Roster:
    deputies = [
        {"official": name, "position": named.get(a.deputy[0], a.deputy[0]), "kind": "Plh",
         "letter": "800/1/2026", **a.deputy[1]}
        for name, a in ACCOUNTS.items()
        if a.deputy
    ]  # fmt: skip
    officials = [_official(name, account, named) for name, account in ACCOUNTS.items()]
    return Roster.model_validate({"office": "Dinas Contoh", "officials": officials, "deputies": deputies})


def gates_of(sop: Sop) -> Iterator[Gate]:
    """Yield every gate: of a row's own official, of a witness, and of two who decide together."""
    opened = Event(1, "gate_opened", Instant(NOW, 0, "boot"), {}, "0" * 64)
    for step in sop.steps:
        seats = [sop.actors[actor] for actor in sop.seats(step)]
        if seats:
            second = seats[1] if len(seats) > 1 else None
            actor, outcomes = sop.seats(step)[0], sop.gate_outcomes(step)
            yield Gate(step.no, 1, actor, seats[0], outcomes, {}, "0" * 32, opened, second)


def is_one_person(first: Account, second: Account) -> bool:
    """Tell it from number and key, also by an account in between that shares one with each."""
    return any(_shares(first, between) and _shares(between, second) for between in ACCOUNTS.values())


def _shares(first: Account, second: Account) -> bool:
    return first.person == second.person or first.key == second.key


@pytest.mark.parametrize(
    ("name", "together", "count"),
    [
        ("surakarta-system-update.yml", False, 5),
        ("surakarta-system-update.yml", True, 5),
        ("palembang-information-system-maintenance.yml", False, 5),
    ],
)
def test_no_operator_decides_and_nobody_decides_in_a_position_that_is_not_his(
    root: Path, name: str, *, together: bool, count: int
) -> None:
    text = (root / "sops" / name).read_text(encoding="utf-8")
    if together:
        text = text.replace("    pelaksana: kabid\n", "    pelaksana: kabid\n    bersama: analis\n")
    sop, named = parse_sop(text, name), POSITIONS[name]
    roster, gates = _roster(named), list(gates_of(sop))
    assert len(gates) == count
    assert together == any(gate.second for gate in gates)
    own = foreign = right = 0
    for operator, operating in ACCOUNTS.items():
        person = _official(operator, operating, named).person()
        for who, account in ACCOUNTS.items():
            decides = {named.get(position, position) for position in account.decides}
            for gate in gates:
                choice = Choice(who, gate.outcomes[0], "Alasan contoh")
                told = refusal(sop, gate, roster, person, choice, NOW.date())
                if is_one_person(operating, account):
                    own += 1
                    assert told == f"Nama {who} operates this run and may not decide its gates", gate
                elif decides.isdisjoint(gate.open_seats):
                    foreign += 1
                    assert told is not None, (operator, who, gate.position)
                else:
                    right += 1
                    assert told is None, (operator, who, gate.position)
    assert own + foreign + right == len(ACCOUNTS) ** 2 * count
    assert min(own, foreign, right) > 100
