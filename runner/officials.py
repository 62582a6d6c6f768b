"""Who may decide: the office's roster of officials with their positions and public keys."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from runner import errors, source
from runner.canonical import canonical_json
from runner.sop import path_text
from runner.source import Problem, SourceError

NAMESPACE = "rawat-decision"
_KEY_FIELDS = 2


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Official(_Model):
    """A person, the positions held, and the public key that proves it is this person."""

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")]
    name: Annotated[str, Field(min_length=1, max_length=200)]
    nip: Annotated[str, Field(pattern=r"^\d{18}$", description="Staff number: 18 digits")]
    positions: list[Annotated[str, Field(min_length=1)]]
    key: str = Field(description="Path of the public key, relative to the roster; or the key itself")

    def person(self, position: str = "") -> dict[str, str]:
        """Return the person as it is copied into records, which outlive the roster."""
        return {
            "id": self.id,
            "name": self.name,
            "nip": self.nip,
            "position": position or ", ".join(self.positions),
        }


class Roster(_Model):
    """``officials.yml``: the office and its officials. An empty list means that nobody may decide."""

    office: Annotated[str, Field(min_length=1)]
    timezone: str = "Asia/Jakarta"
    operator: str | None = Field(default=None, description="Operates when --operator is not given")
    officials: list[Official] = []

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

    def holders(self, position: str) -> list[Official]:
        """Return who holds a position."""
        return [official for official in self.officials if position in official.positions]

    def snapshot(self) -> bytes:
        """Return the roster as a run keeps it."""
        return canonical_json(self.model_dump(mode="json"))

    def allowed_signers(self) -> bytes:
        """Return the roster in the form that ``ssh-keygen -Y verify`` reads."""
        lines = [f'{o.id} namespaces="{NAMESPACE}" {o.key}\n' for o in self.officials]
        return "".join(lines).encode()


def load_roster(path: Path) -> Roster:
    """Read ``officials.yml`` and the public keys it names.

    Raises:
        InputError: when the file or a key cannot be used, with file and line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise errors.InputError(
            f"{path}: cannot be read: {error.strerror}",
            hint="the officials of an office stand beside its inventory in officials.yml",
        ) from error
    read = source.read(text, str(path))
    try:
        roster = Roster.model_validate(read.data)
    except ValidationError as error:
        problems = [
            Problem(read.line(e["loc"]), f"{path_text(e['loc'])}: {e['msg']}") for e in error.errors()
        ]
        raise SourceError(str(path), problems) from error
    problems = list(_double_entries(roster, read))
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


def roster_from_snapshot(data: bytes) -> Roster:
    """Return the roster that ``Roster.snapshot`` wrote."""
    return Roster.model_validate_json(data)


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
        try:
            text = file.read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            raise errors.InputError(
                f"{roster}:{line}: the public key of {official.id!r} cannot be read from {file}",
                hint="make one with 'ssh-keygen -t ed25519' (the lab's are made by 'rawat lab up')",
            ) from error
    fields = text.split()
    if len(fields) < _KEY_FIELDS or not _is_base64(fields[1]):
        raise errors.InputError(f"{roster}:{line}: the key of {official.id!r} is not an OpenSSH public key")
    return f"{fields[0]} {fields[1]}"


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error:
        return False
    return True
