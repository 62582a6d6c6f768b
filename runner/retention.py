"""What becomes of archives whose time is over: what is due, who may decide it, what is signed. Pure rules.

Nothing is ever deleted by its age. What is due is only proposed, by the office's own retention schedule (JRA)
as it stood when the run began; an archive without one is never due. An official decides and a second one
signs as a witness; only then is anything removed, and the manifests stay.
"""

from __future__ import annotations

import calendar
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, get_args

from runner.bag import Fate
from runner.canonical import short_code
from runner.gates import refusal_of_length
from runner.officials import Official, Roster

NAMESPACE = "rawat-retention"
_FATES: Mapping[str, tuple[Fate, ...]] = {
    "musnah": ("musnah", "simpan"),
    "permanen": ("serah", "simpan"),
    "dinilai kembali": ("simpan", "serah", "musnah"),
}
"""What may be decided at the end, by the nasib akhir of the schedule."""
FATES: tuple[Fate, ...] = get_args(Fate)


@dataclass(frozen=True)
class Due:
    """One archive whose time is over."""

    run: str
    tagmanifest_sha256: str
    since: date
    fates: tuple[Fate, ...]
    """What may be decided; the first is what the schedule says."""
    basis: str


@dataclass(frozen=True)
class Parties:
    """Who decides and who signs as a witness, each in the position that the office named for it."""

    decides: Official
    witness: Official
    positions: tuple[str, str]


def due(
    run: str, tagmanifest_sha256: str, said: Mapping[str, Any], state: Fate | None, on: date
) -> Due | None:
    """Return what is due for an archive on a day, None when nothing is.

    Years count from the last day of the run. What was destroyed, handed over or kept is due no more.
    """
    retention = said["archiving"]["retention"]
    if retention["final"] not in _FATES or state not in {None, "inaktif"}:
        return None
    ended = date.fromisoformat(said["period"]["to"])
    active = _years_after(ended, retention["active_years"])
    end = _years_after(active, retention["inactive_years"])
    basis = str(retention["basis"] or "")
    if on >= end:
        return Due(run, tagmanifest_sha256, end, _FATES[retention["final"]], basis)
    if on >= active and state is None:
        return Due(run, tagmanifest_sha256, active, ("inaktif",), basis)
    return None


def _years_after(day: date, years: int) -> date:
    year = day.year + years
    return day.replace(year=year, day=min(day.day, calendar.monthrange(year, day.month)[1]))


def code(fate: Fate, dues: Sequence[Due]) -> str:
    """Return what stands for a proposal that was looked at: this fate, for these archives."""
    return short_code({"fate": fate, "runs": [[item.run, item.tagmanifest_sha256] for item in dues]})


def refusal(  # noqa: PLR0917 - all that is bound by the signatures
    fate: Fate, dues: Sequence[Due], roster: Roster, parties: Parties, reason: str, on: date
) -> str | None:
    """Return why this cannot be decided so, or None when it can."""
    if not dues:
        return "nothing is due"
    wrong = next((item for item in dues if fate not in item.fates), None)
    if wrong is not None:
        return f"for {wrong.run} only {' or '.join(wrong.fates)} can be decided"
    if not reason.strip():
        return "a decision about archives needs a reason"
    for official, position in zip((parties.decides, parties.witness), parties.positions, strict=True):
        if roster.holder(official, position, on) is None:
            return f"{official.name} does not hold the position {position} on {on}"
    if roster.is_one_person(parties.decides, parties.witness) or roster.is_one_hand(
        parties.decides, parties.witness
    ):
        return "who decides and who signs as a witness are two persons"
    return refusal_of_length(reason)


def statement(
    fate: Fate, dues: Sequence[Due], parties: Parties, reason: str, *, head: str, at: str
) -> dict[str, Any]:
    """Return what both sign; ``head`` is the digest of the register's last record."""
    return {
        "format": 1,
        "act": "retention",
        "fate": fate,
        "runs": [{"run": item.run, "tagmanifest_sha256": item.tagmanifest_sha256} for item in dues],
        "head": head,
        "decides": parties.decides.id,
        "witness": parties.witness.id,
        "persons": [
            parties.decides.person(parties.positions[0]),
            parties.witness.person(parties.positions[1]),
        ],
        "reason": reason.strip(),
        "decided": at,
    }


def signers(parties: Parties) -> bytes:
    """Return the keys of both, as ``ssh-keygen -Y verify`` reads them."""
    return parties.decides.signers_line(NAMESPACE) + parties.witness.signers_line(NAMESPACE)
