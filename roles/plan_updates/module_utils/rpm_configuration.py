"""Which configuration files of an rpm package were changed on the host, and what an update would do to them.

A file marked `noreplace` stays as it is and the new one is laid beside it (`.rpmnew`). Any other changed
configuration file would be put aside (`.rpmsave`) and replaced: a setting would change unasked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

try:
    import rpm
except ImportError:
    rpm = None

# Of rpm's numbers for digests, those that its packages use for files.
_ALGORITHMS = {0: "md5", 1: "md5", 2: "sha1", 8: "sha256", 9: "sha384", 10: "sha512"}

_BESIDE = (".rpmnew", ".rpmsave", ".rpmorig")


class Changed(NamedTuple):
    """What was changed by hand: kept paths with their state (`changed`, `removed`), and those replaced."""

    kept: dict[str, str]
    replaced: list[str]


def changed_by_hand(package: str, architecture: str) -> Changed:
    """Ask rpm for the configuration files of an installed package and compare them."""
    kept: dict[str, str] = {}
    replaced: list[str] = []
    for header in rpm.TransactionSet().dbMatch("name", package):
        if header[rpm.RPMTAG_ARCH] != architecture:
            continue
        algorithm = _ALGORITHMS.get(header[rpm.RPMTAG_FILEDIGESTALGO] or 0, "sha256")
        for file in rpm.files(header):
            if not file.fflags & rpm.RPMFILE_CONFIG or file.fflags & rpm.RPMFILE_GHOST:
                continue
            state = state_of(Path(file.name), file.digest, algorithm)
            if file.fflags & rpm.RPMFILE_NOREPLACE and state != "as shipped":
                kept[file.name] = state
            elif state == "changed":
                replaced.append(file.name)
    return Changed(kept, sorted(replaced))


def put_beside(names: Iterable[str]) -> dict[str, int]:
    """Return the files that rpm laid beside configuration of packages, each with when (nanoseconds)."""
    found: dict[str, int] = {}
    for name in names:
        for header in rpm.TransactionSet().dbMatch("name", name):
            for file in rpm.files(header):
                if not file.fflags & rpm.RPMFILE_CONFIG:
                    continue
                beside = [Path(file.name + ending) for ending in _BESIDE]
                found |= {str(path): path.stat().st_mtime_ns for path in beside if path.exists()}
    return found


def has_scripts(name: str) -> bool:
    """Whether an installed package's scripts did anything at its installation besides telling the linker."""
    tags = (rpm.RPMTAG_PRETRANS, rpm.RPMTAG_PREIN, rpm.RPMTAG_POSTIN, rpm.RPMTAG_POSTTRANS)
    return any(header[tag] for header in rpm.TransactionSet().dbMatch("name", name) for tag in tags)


def restarts_services(name: str) -> bool:
    """Whether the scripts that an update of an installed package runs speak of restarting anything."""
    tags = (rpm.RPMTAG_POSTIN, rpm.RPMTAG_POSTUN, rpm.RPMTAG_POSTTRANS)
    scripts = [header[tag] for header in rpm.TransactionSet().dbMatch("name", name) for tag in tags]
    # systemctl try-restart, service condrestart, systemd-update-helper mark-restart-system-units
    return any("restart" in as_text(script) for script in scripts if script)


def as_text(value: str | bytes) -> str:
    """Return what rpm's interface gives as text, whichever of its versions answers."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def state_of(path: Path, shipped: str, algorithm: str) -> str:
    """Return `as shipped`, `changed` or `removed`."""
    if not shipped.strip("0"):
        return "as shipped"  # a link or a folder: it has no digest to compare
    try:
        # rpm's own digest; nothing is trusted because of it.
        found = hashlib.new(algorithm, path.read_bytes(), usedforsecurity=False).hexdigest()
    except FileNotFoundError:
        return "removed"
    except OSError:
        return "changed"  # a folder, or a link that leads nowhere, in its place
    return "as shipped" if found == shipped else "changed"
