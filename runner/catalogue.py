"""What is in the archive, by what each bag says of itself; nothing is opened but that and the register.

What a bag says counts only when the register vouches for it: its tag manifest is the one that was sealed, and
lists that description.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from runner import bag, errors, register
from runner.bag import Fate
from runner.canonical import sha256_hex
from runner.register import Decided, Entry, Line
from runner.tree import Tree


@dataclass(frozen=True)
class Sought:
    """What is looked for; what is left out is anything."""

    since: date | None = None
    until: date | None = None
    host: str = ""
    cve: str = ""
    official: str = ""
    document: str = ""


@dataclass(frozen=True)
class Sealed:
    """One archive of the register."""

    entry: Entry
    said: dict[str, Any] | None
    """Its description; None when it cannot be read as it was sealed, which ``rawat verify`` explains."""
    state: Fate | None
    """What was decided about it last; None while nothing was."""

    @property
    def period(self) -> tuple[date, date]:
        """Return the first and the last day of the run."""
        if self.said is None:
            raise LookupError(self.entry.run)
        return tuple(date.fromisoformat(self.said["period"][end]) for end in ("from", "to"))  # type: ignore[return-value]


def catalogue(root: Path) -> list[Sealed]:
    """Return every archive of the register, in its order.

    Raises:
        InputError: when there is no register.
        VerificationError: when the register does not hold.
    """
    lines = read_register(root)
    states = states_of(lines)
    return [Sealed(entry, _said(root, entry), states.get(entry.run)) for entry in register.sealed(lines)]


def read_register(root: Path) -> list[Line]:
    """Return the records of the register, once its chain and its signed head were checked.

    Raises:
        InputError: when there is no register.
        VerificationError: when it does not hold.
    """
    if not (root / register.NAME).exists():
        raise errors.InputError(f"there is no archive in {root}", hint="a closed run is sealed by itself")
    tree = register.tree_of(root)
    lines = register.parse(tree.read(register.NAME))
    if lines:
        register.require_head(tree, lines)
    return lines


def states_of(lines: Sequence[Line]) -> dict[str, Fate]:
    """Return what was decided last about each run."""
    return {kept.run: line.fate for line in lines if isinstance(line, Decided) for kept in line.runs}


def _said(root: Path, entry: Entry) -> dict[str, Any] | None:
    names = (bag.TAG_MANIFEST, bag.DESCRIPTION)
    tree = Tree(root / entry.path, dict.fromkeys(names, 0), frozenset())
    try:
        manifest, data = (tree.read(name) for name in names)
        listed = bag.parse_manifest(manifest, bag.TAG_MANIFEST)
    except errors.VerificationError:
        return None
    sealed = sha256_hex(manifest) == entry.tagmanifest_sha256
    if not sealed or listed.get(bag.DESCRIPTION) != sha256_hex(data):
        return None
    return dict(json.loads(data))


def matches(found: Sealed, sought: Sought) -> bool:
    """Tell whether an archive is one of those looked for; words are found anywhere, in any case."""
    if found.said is None:
        return False
    said, (first, last) = found.said, found.period
    people = (f"{p['id']}\n{p['name']}\n{p['nip']}\n{p['position']}" for p in said["officials"])
    papers = (f"{d['document']}\n{d['name']}" for d in said["documents"])
    return (
        (sought.since is None or last >= sought.since)
        and (sought.until is None or first <= sought.until)
        and (not sought.host or sought.host in said["hosts"])
        and (not sought.cve or sought.cve.upper() in said["cves"])
        and (not sought.official or any(sought.official.casefold() in who.casefold() for who in people))
        and (not sought.document or any(sought.document.casefold() in what.casefold() for what in papers))
    )
