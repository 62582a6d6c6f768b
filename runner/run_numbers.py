"""The number of a run among those of its office in its year: counted so that none is ever given twice.

A number once given may stand on papers that left the office. So it counts wherever it was given: in a run's
folder, in the description of a sealed archive (which stays when its content is destroyed), and in the book
beside the runs, which remembers also those that somebody removed before they were sealed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from runner import errors
from runner.canonical import canonical_json
from runner.files import write_once
from runner.workspace import Workspace

BOOK = ".numbers.json"
_REGISTER = "register.jsonl"
_LONGEST_RECORD = 50_000_000


class _Book(BaseModel):
    """The highest number given, by office and year."""

    model_config = ConfigDict(extra="forbid", strict=True)

    format: int = 1
    given: dict[str, dict[str, int]] = {}


def next_number(workspace: Workspace, office: str, year: int) -> int:
    """Return the number for a new run, and note in the book that it is given; the caller holds the runs.

    Raises:
        InputError: when the book cannot be read: what it knew would be given again.
        CannotRecordError: when the disk did not take the book.
    """
    path = workspace.runs / BOOK
    book = _read_book(path)
    given = book.given.get(office, {}).get(str(year), 0)
    number = max([given, *_of_runs(workspace, office, year), *_of_archives(workspace, office, year)]) + 1
    book.given.setdefault(office, {})[str(year)] = number
    write_once(path, canonical_json(book.model_dump()))
    return number


def _read_book(path: Path) -> _Book:
    try:
        return _Book.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return _Book()
    except (OSError, ValidationError) as error:
        raise errors.InputError(
            f"{path} cannot be read, so a number might be given twice",
            hint="put it back from a backup; if there is none, remove it: numbers of runs that were removed "
            "before they were sealed are then forgotten",
        ) from error


def _of_runs(workspace: Workspace, office: str, year: int) -> Iterator[int]:
    for path in workspace.runs.glob(f"{year}-*/journal.jsonl"):
        try:
            with path.open("rb") as stream:
                first = json.loads(stream.readline(_LONGEST_RECORD))
            if first["office"] == office:
                yield int(first["number"])
        except (OSError, ValueError, LookupError, TypeError):
            continue  # cut off before its first record, or of an older format: it has no number


def _of_archives(workspace: Workspace, office: str, year: int) -> Iterator[int]:
    """Yield the numbers of sealed runs, also of those whose content was destroyed."""
    try:
        lines = (workspace.archive / _REGISTER).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return
    for line in lines:
        try:
            entry = json.loads(line)
            if not str(entry["run"]).startswith(f"{year}-"):
                continue
            said = json.loads((workspace.archive / entry["path"] / "metadata" / "arsip.json").read_bytes())
            if said["office"] == office:
                yield int(said["number"])
        except (OSError, ValueError, LookupError, TypeError):
            continue  # no record of a sealed run, or one that 'rawat verify' complains about
