"""What stands beside an inventory: roster, maintenance windows, the office's look, the officials' keys."""

from __future__ import annotations

from pathlib import Path

from runner import errors, pades, pictures, record
from runner.clock import Instant
from runner.files import require_trusted
from runner.inventory import require_inventory
from runner.mail import Office
from runner.notices import parse_settings
from runner.office_settings import (
    MOST_LOGO_BYTES,
    Logo,
    OfficeLook,
    OfficeSettings,
    Picture,
    parse_office,
    picture_of,
)
from runner.officials import Official, Roster, load_roster
from runner.sop_check import Staff
from runner.windows import Windows, parse_windows
from runner.workspace import RunFolder, Workspace

MOST_PEM_BYTES = 200_000

_MOST_BYTES = 5_000_000
"""Of a file that somebody writes by hand."""


def roster_file(inventory: Path) -> Path:
    """Return where the roster of the office stands, beside its inventory."""
    return (inventory if inventory.is_dir() else inventory.parent) / "officials.yml"


def staff_of(inventory: Path, operator: str | None, now: Instant) -> Staff:
    """Return the office's people as a SOP is judged by them; without an operator nobody is left out."""
    require_inventory(inventory)
    roster = load_roster(roster_file(inventory))
    operates = operator_of(roster, operator) if operator or roster.operator else None
    return Staff(roster, operates, roster.day(now.at))


def windows_of(inventory: Path) -> Windows | None:
    """Return the office's maintenance windows; without the file hosts may be changed at any time."""
    file = roster_file(inventory).with_name("windows.yml")
    return parse_windows(office_text(file), str(file)) if file.exists() else None


def look_of(roster: Roster, file: Path) -> OfficeLook:
    """Return how the office's documents look, from ``office.yml`` beside its roster and the logos it names.

    Raises:
        InputError: when a logo cannot be read, or is no picture that a document takes.
        SourceError: naming every problem of the file with its line.
    """
    said = file.with_name("office.yml")
    if not said.exists():
        return OfficeLook()
    settings = parse_office(office_text(said), str(said), roster.timezone)
    logos = [(logo, said.with_name(logo.file)) for logo in settings.letterhead.logos]
    shown = tuple(_picture(logo, path, said) for logo, path in logos)
    return OfficeLook(settings=settings, pictures=shown, authorities=_authorities(settings, said))


def _authorities(settings: OfficeSettings, said: Path) -> str:
    """Return the certificates of the authorities that the office trusts, "" where nobody signs as PDF."""
    if settings.signatures.by == "none":
        return ""
    pades.require_installed(f"{said}: signatures: by: {settings.signatures.by}")
    path = said.with_name(settings.signatures.authorities)
    pem = _read(path, said, "with the certificates of authorities", MOST_PEM_BYTES)
    pades.require_authorities(pem, str(path))
    return pem.decode("ascii")


def _picture(logo: Logo, path: Path, said: Path) -> Picture:
    data = _read(path, said, "as a logo", MOST_LOGO_BYTES + 1)
    picture = picture_of(logo, data, str(path))
    pictures.require_whole(data, str(path))
    return picture


def _read(path: Path, said: Path, named: str, most: int) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(most)
    except OSError as error:
        raise errors.InputError(
            f"{path}: cannot be read: {error.strerror}", hint=f"{said} names it {named}; put it there"
        ) from error


def notify_office(roster: Path) -> Office | None:
    """Return how the office of a roster tells its officials; None without a ``notify.yml`` beside it."""
    file = roster.with_name("notify.yml")
    return Office(parse_settings(office_text(file), str(file)), file.parent) if file.exists() else None


def roster_file_of(workspace: Workspace, folder: RunFolder) -> Path:
    """Return where the office's roster stands now, beside the inventory that the run was started with."""
    return roster_file(Path(workspace.root, record.load(folder).started["inventory"]["path"]))


def keys_of(workspace: Workspace, folder: RunFolder) -> Path:
    """Return the folder in which the lab keeps its officials' keys, beside the inventory of a run."""
    path = Path(workspace.root, record.load(folder).started["inventory"]["path"])
    return (path if path.is_dir() else path.parent) / "keys"


def operator_of(roster: Roster, official_id: str | None) -> Official:
    """Return who operates: the official named, or else the roster's own.

    Raises:
        InputError: when there is nobody.
    """
    wanted = official_id or roster.operator
    if wanted is None:
        raise errors.InputError(
            "nobody operates this run", hint="give --operator ID, an official of the roster"
        )
    return roster.named(wanted)


def office_text(file: Path) -> str:
    """Return a file that says how the office works; nobody but the office may have written it.

    Raises:
        InputError: when everybody may write it, it cannot be read, or is not UTF-8.
    """
    require_trusted(file)
    return read_text(file)


def read_text(file: Path) -> str:
    """Return a file of the office as text.

    Raises:
        InputError: when it cannot be read, or is not UTF-8.
    """
    try:
        if file.exists() and not file.is_file():
            raise errors.InputError(f"{file}: is no file", hint="give the name of a text file")
        if file.stat().st_size > _MOST_BYTES:
            raise errors.InputError(f"{file}: is larger than {_MOST_BYTES} bytes")
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise errors.InputError(f"{file}: is not UTF-8 text") from error
    except OSError as error:
        raise errors.InputError(f"{file}: cannot be read: {error.strerror}") from error
