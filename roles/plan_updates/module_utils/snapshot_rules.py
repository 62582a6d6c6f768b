"""What snapshots of a root have in common, on btrfs and LVM: when one is from before, and when it may go."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from typing import Any, NamedTuple

from ansible.module_utils import approved_updates, rpm_states
from ansible.module_utils.debian_packages import clean_text, package_states, run_command

# An update writes to these; its packages' tables lie below them.
_WHOLE = (
    "/etc",
    "/usr",
    "/usr/lib",
    "/var",
    "/var/lib",
    "/var/lib/dpkg",
    "/var/lib/rpm",
    "/usr/lib/sysimage",
)
_DAY = 86400


OWN_RECORD = "Rawat runs on this machine: its own record would be taken back"


class SnapshotError(Exception):
    """A snapshot cannot be taken or gone back to; the text is for a person."""


class Kept(NamedTuple):
    """What an earlier run left: its id, how many days it lies there, and whether it was removed."""

    run: str
    days: int
    is_removed: bool


def days_since(taken: float) -> int:
    """Return how many whole days ago a snapshot was taken (seconds of the epoch)."""
    return max(0, int((time.time() - taken) // _DAY))


def device(place: str) -> int:
    """Return the number of the file system that a place lies on."""
    return Path(place).stat().st_dev


def apart() -> str:
    """Return why a snapshot of the root alone would not bring the host back whole, or nothing."""
    places = [place for place in _WHOLE if Path(place).exists() and device(place) != device("/")]
    return f"{places[0]} is not part of the root, and the update writes to it" if places else ""


def boot_digest() -> str:
    """Return what tells whether /boot has changed, where it is not part of the root; else nothing."""
    top = Path("/boot")
    if not top.exists() or device("/boot") == device("/"):
        return ""
    files = [path for path in sorted(top.rglob("*")) if path.is_file() and not path.is_symlink()]
    told = [[str(path), path.stat().st_size, path.stat().st_mtime_ns] for path in files]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def is_before(approved: list[dict[str, Any]]) -> bool:
    """Whether every approved package is at the version before it, and none is unfinished."""
    if rpm_states.is_redhat(rpm_states.os_release()):
        rpms = rpm_states.read()
        found = [(update, rpm_states.versions(rpms, update["package"])) for update in approved]
        return all(update["from"] in versions and update["to"] not in versions for update, versions in found)
    states = package_states()
    named = [approved_updates.Approved(u["package"], u["from"], u["to"]) for u in approved]
    return all(approved_updates.is_before(update, states.get(update.package)) for update in named)


def require(what: str, *command: str) -> str:
    """Return what a command says.

    Raises:
        SnapshotError: it failed; ``what`` says what could not be done.
    """
    done = run_command(command, timeout=300)
    if done.rc != 0:
        raise SnapshotError(f"could not {what}: {clean_text(done.output).strip()[-300:]}")
    return str(done.output)
