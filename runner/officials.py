"""Who may decide: the office's roster of officials, their deputies, their dates and their public keys.

Dates are days in the office's time zone, the first and the last included. A position is held by an official
of the office (definitive), or for some days by a deputy: Plt (pelaksana tugas) or Plh (pelaksana harian),
whom a letter names.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from runner import errors, source
from runner.canonical import canonical_json
from runner.files import require_trusted
from runner.models import judged
from runner.source import Problem, SourceError

NAMESPACE = "rawat-decision"
_KEY_FIELDS = 2
_DAY = re.compile(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def _day(value: object) -> object:
    """Return the day that a text such as ``2026-01-31`` names."""
    if isinstance(value, date):
        return value
    if not isinstance(value, str) or not _DAY.match(value):
        raise ValueError("expected a day such as 2026-01-31")
    return date.fromisoformat(value)


Day = Annotated[date, BeforeValidator(_day)]
Text = Annotated[str, Field(min_length=1, max_length=200)]


class Validity(_Model):
    """The days on which an official is one; an open end where a day is left out."""

    from_: Day | None = Field(default=None, alias="from")
    until: Day | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Validity:
        if self.from_ and self.until and self.until < self.from_:
            raise ValueError(f"ends on {self.until}, before {self.from_}")
        return self

    def includes(self, on: date) -> bool:
        """Tell whether ``on`` is one of the days."""
        return (self.from_ is None or self.from_ <= on) and (self.until is None or on <= self.until)

    def days(self) -> str:
        """Return the days in words: ``from 2026-01-01 until 2026-12-31``."""
        begin = f"from {self.from_}" if self.from_ else ""
        end = f"until {self.until}" if self.until else ""
        return f"{begin} {end}".strip() or "always"


class Deputy(Validity):
    """One official stands in for a position: from when until when, as what, and by which letter."""

    official: str
    position: Text
    kind: Literal["Plt", "Plh"]
    from_: Day = Field(alias="from")
    until: Day
    letter: Text = Field(description="Number and date of the letter that names the deputy")


class Official(_Model):
    """A person, the positions held, and the public key that proves it is this person."""

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
    name: Text
    # Only these ten digits: others would make a second staff number that reads the same.
    nip: Annotated[str, Field(pattern=r"^[0-9]{18}$", description="Staff number: 18 digits")]
    positions: list[Annotated[str, Field(min_length=1)]]
    key: str = Field(description="Path of the public key, relative to the roster; or the key itself")
    valid: Validity = Validity()
    vouched_by: str | None = Field(
        default=None, description="Only in the record: who vouched for this key after the run had started"
    )

    def person(self, position: str = "", deputy: Deputy | None = None) -> dict[str, Any]:
        """Return the person as it is copied into records, which outlive the roster."""
        return {
            "id": self.id,
            "name": self.name,
            "nip": self.nip,
            "position": position or ", ".join(self.positions),
            "deputy": {"kind": deputy.kind, "letter": deputy.letter} if deputy else None,
        }

    def is_same_person(self, other: Official) -> bool:
        """Tell whether the two are one person: an id, a staff number or a key is never two persons'."""
        return self.id == other.id or self.nip == other.nip or self.key == other.key

    def signers_line(self, namespace: str) -> bytes:
        """Return the key as a line that ``ssh-keygen -Y verify`` reads, for signatures of that namespace."""
        return f'{self.id} namespaces="{namespace}" {self.key}\n'.encode()

    @property
    def fingerprint(self) -> str:
        """Return the key as ``ssh-keygen -l`` shows it, to be compared by eye: ``SHA256:...``."""
        blob = _decoded(self.key.split()[-1])
        return f"SHA256:{base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip('=')}"


@dataclass(frozen=True)
class Holder:
    """Who may act in a position on a day, and as what: ``deputy`` is None for its own official."""

    official: Official
    position: str
    deputy: Deputy | None = None

    @property
    def person(self) -> dict[str, Any]:
        """Return the person, in this position, as it is copied into records."""
        return self.official.person(self.position, self.deputy)

    @property
    def title(self) -> str:
        """Return the position as an office writes it: ``Plh. Kepala Bidang``."""
        return title_of(self.position, self.deputy.kind if self.deputy else "")


def title_of(position: str, kind: str) -> str:
    """Return a position with how it is held in front, as Indonesian offices write it: ``Plh. Camat``."""
    return f"{kind}. {position}" if kind else position


class Roster(_Model):
    """``officials.yml``: the office and its officials. An empty list means that nobody may decide."""

    office: Annotated[str, Field(min_length=1)]
    timezone: str = "Asia/Jakarta"
    operator: str | None = Field(default=None, description="Operates when --operator is not given")
    officials: list[Official] = []
    deputies: list[Deputy] = []
    former: list[Official] = Field(
        default=[], description="Only in the record: officials as they stood before the roster was changed"
    )

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError("is not a time zone such as Asia/Jakarta") from error
        return value

    def official(self, official_id: str) -> Official | None:
        """Return the official with this id, if there is one."""
        return next((official for official in self.officials if official.id == official_id), None)

    def named(self, official_id: str) -> Official:
        """Return the official with this id.

        Raises:
            InputError: naming those that there are.
        """
        found = self.official(official_id)
        if found is None:
            known = ", ".join(official.id for official in self.officials) or "nobody"
            raise errors.InputError(f"{official_id!r} is not in the roster of officials; there are {known}")
        return found

    def is_one_person(self, one: Official, other: Official) -> bool:
        """Tell whether two accounts are one person, also by what stood in the roster before a change."""
        return self._is_linked(one, other, Official.is_same_person)

    def is_one_hand(self, one: Official, other: Official) -> bool:
        """Tell whether two accounts count as one where two persons are needed: by a key one vouched for.

        Whoever vouches for a new key may hold it himself; nobody but him says that he does not.
        """
        return self._is_linked(one, other, _is_vouched_for)

    def _is_linked(
        self, one: Official, other: Official, linked: Callable[[Official, Official], bool]
    ) -> bool:
        entries = [*self.officials, *self.former, other]
        reached = [one]
        for entry in reached:
            reached += [found for found in entries if found not in reached and linked(entry, found)]
        return other in reached

    def day(self, at: datetime) -> date:
        """Return the day that a moment falls on in the office."""
        return at.astimezone(ZoneInfo(self.timezone)).date()

    def holders(self, position: str, on: date) -> list[Holder]:
        """Return who may act in a position on a day: its own officials, then deputies."""
        own = [Holder(o, position) for o in self.officials if position in o.positions]
        return [holder for holder in own + self._deputies(position) if _acts_on(holder, on)]

    def ever_holders(self, position: str, since: date) -> list[Holder]:
        """Return who may act in a position on that day or on any later one."""
        own = [Holder(o, position) for o in self.officials if position in o.positions]
        return [holder for holder in own + self._deputies(position) if _acts_after(holder, since)]

    def holder(self, official: Official, position: str, on: date) -> Holder | None:
        """Return as what this official may act in a position on a day, or None when he may not."""
        return next((h for h in self.holders(position, on) if h.official == official), None)

    def _deputies(self, position: str) -> list[Holder]:
        named = [(self.official(deputy.official), deputy) for deputy in self.deputies]
        return [Holder(o, position, d) for o, d in named if o is not None and d.position == position]

    def snapshot(self) -> bytes:
        """Return the roster as a run keeps it."""
        return canonical_json(self.model_dump(mode="json", by_alias=True))

    @classmethod
    def from_snapshot(cls, data: bytes, path: str) -> Self:
        """Return the roster that ``snapshot`` wrote to the run's file ``path``.

        Raises:
            VerificationError: when it is none.
        """
        try:
            roster = cls.model_validate_json(data)
        except ValidationError as error:
            raise errors.VerificationError(path, "is not a roster") from error
        return roster

    def allowed_signers(self) -> bytes:
        """Return the roster in the form that ``ssh-keygen -Y verify`` reads."""
        return b"".join(official.signers_line(NAMESPACE) for official in self.officials)


_EXPECTED = {
    "id": "expected a short name in small letters, without spaces",
    "nip": "expected a staff number of 18 digits, between quotes",
}


def load_roster(path: Path) -> Roster:
    """Read ``officials.yml`` and the public keys it names.

    Raises:
        InputError: when the file or a key cannot be used, with file and line.
    """
    require_trusted(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise errors.InputError(f"{path}: is not UTF-8 text") from error
    except OSError as error:
        raise errors.InputError(
            f"{path}: cannot be read: {error.strerror}",
            hint="the officials of an office stand beside its inventory in officials.yml",
        ) from error
    read = source.read(text, str(path))
    roster = judged(Roster, read, expected=_EXPECTED)
    problems = [*_double_entries(roster, read), *_wrong_deputies(roster, read), *_of_the_record(roster, read)]
    if problems:
        raise SourceError(str(path), problems)
    officials = [
        official.model_copy(
            update={"key": _public_key(official, path, read.line(("officials", index, "key")))}
        )
        for index, official in enumerate(roster.officials)
    ]
    problems = list(_shared_keys(officials, read))
    if problems:
        raise SourceError(str(path), problems)
    return roster.model_copy(update={"officials": officials})


def _is_vouched_for(one: Official, other: Official) -> bool:
    return one.is_same_person(other) or one.vouched_by == other.id or other.vouched_by == one.id


def _acts_on(holder: Holder, on: date) -> bool:
    return holder.official.valid.includes(on) and (holder.deputy is None or holder.deputy.includes(on))


def _acts_after(holder: Holder, since: date) -> bool:
    spans = [holder.official.valid, *([holder.deputy] if holder.deputy else [])]
    begins = [since, *(span.from_ for span in spans if span.from_)]
    return _acts_on(holder, max(begins))


def _double_entries(roster: Roster, read: source.Source) -> list[Problem]:
    problems: list[Problem] = []
    seen: dict[str, Any] = {}
    for index, official in enumerate(roster.officials):
        line = read.line(("officials", index))
        if official.id in seen:
            problems.append(Problem(line, f"official {official.id!r} stands twice"))
        seen[official.id] = official
    if roster.operator is not None and roster.operator not in seen:
        problems.append(Problem(read.line(("operator",)), f"operator {roster.operator!r} is not an official"))
    return problems


def _wrong_deputies(roster: Roster, read: source.Source) -> Iterator[Problem]:
    for index, deputy in enumerate(roster.deputies):
        official = roster.official(deputy.official)
        if official is None:
            line = read.line(("deputies", index, "official"))
            yield Problem(line, f"deputy {deputy.official!r} is not an official")
        elif deputy.position in official.positions:
            line = read.line(("deputies", index, "position"))
            yield Problem(line, f"deputy {deputy.official!r} holds {deputy.position} himself")


def _of_the_record(roster: Roster, read: source.Source) -> Iterator[Problem]:
    """What only Rawat writes, into the rosters of its runs, is nothing that an office says."""
    if roster.former:
        yield Problem(read.line(("former",)), "former: is written by Rawat alone")
    for index, official in enumerate(roster.officials):
        if official.vouched_by is not None:
            line = read.line(("officials", index, "vouched_by"))
            yield Problem(line, "vouched_by: is written by Rawat alone")


def _shared_keys(officials: list[Official], read: source.Source) -> Iterator[Problem]:
    """A signature tells one person from all others; the same person may stand in the roster twice."""
    holders: dict[str, Official] = {}
    for index, official in enumerate(officials):
        other = holders.setdefault(official.key, official)
        if other.nip != official.nip:
            line = read.line(("officials", index, "key"))
            yield Problem(line, f"officials {other.id!r} and {official.id!r} have the same key")


def _public_key(official: Official, roster: Path, line: int) -> str:
    text = official.key
    if not text.startswith(("ssh-", "sk-", "ecdsa-")):
        file = roster.parent / text
        require_trusted(file)
        try:
            text = file.read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise errors.InputError(
                f"{roster}:{line}: the public key of {official.id!r} cannot be read from {file}",
                hint="make one with 'ssh-keygen -t ed25519' (the lab's are made by 'rawat lab up')",
            ) from error
    fields = text.split()
    blob = _decoded(fields[1]) if len(fields) >= _KEY_FIELDS else b""
    # A key names its own kind: 4 bytes of length, then the name (RFC 4253, section 6.6).
    if not blob or blob[4 : 4 + int.from_bytes(blob[:4])] != fields[0].encode():
        raise errors.InputError(f"{roster}:{line}: the key of {official.id!r} is not an OpenSSH public key")
    # Written anew: the same key can be spelled in several ways, and would pass for several keys.
    return f"{fields[0]} {base64.b64encode(blob).decode()}"


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
