"""What a package file (.deb) tells before it is installed: the CVE ids its changelog names, and its postinst.

The installed documentation is not asked: it ends at the installed version, and many hosts do not keep it.
"""

from __future__ import annotations

import gzip
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

try:
    import apt
    import apt_inst
    import apt_pkg
except ImportError:
    apt = None

CHANGELOG_LIMIT_BYTES = 20_000_000
_HEADING = re.compile(r"^\S+ \(([^)\s]+)\) ")
_CVE = re.compile(r"\bCVE-\d{4}-\d{4,}\b")


class Opened(NamedTuple):
    """What the plan needs to know of a downloaded package."""

    changelog: str | None
    postinst: str


def cves_newer_than(changelog: str, version: str, compare: Callable[[str, str], int]) -> list[str]:
    """Return the CVE ids named in the changelog entries that are newer than the version, sorted."""
    found: set[str] = set()
    for line in changelog.splitlines():
        heading = _HEADING.match(line)
        if heading and compare(heading.group(1), version) <= 0:
            break
        found.update(_CVE.findall(line))
    return sorted(found, key=lambda cve: [int(part) for part in cve.split("-")[1:]])


def changelog_verdict(changelog: str | None, cves: list[str]) -> str:
    """Return `read`, `none named` or `unavailable`: three different answers to "which CVEs are closed?"."""
    if changelog is None:
        return "unavailable"
    return "read" if cves else "none named"


def open_package(path: Path, name: str) -> Opened:
    """Read the changelog and the postinst out of a package file."""
    package = apt_inst.DebFile(str(path))
    return Opened(_unzip(_find_changelog(package.data, name)), _read_postinst(package.control))


def _find_changelog(files: apt_inst.TarFile, name: str) -> bytes | None:
    # A native package's own changelog is Debian's.
    wanted = [f"usr/share/doc/{name}/changelog.Debian.gz", f"usr/share/doc/{name}/changelog.gz"]
    found: dict[str, bytes] = {}

    def keep(member: apt_inst.TarMember, data: bytes) -> None:
        if member.name.removeprefix("./") in wanted:
            found[member.name.removeprefix("./")] = bytes(data)

    # One pass: each look-up by name would decompress the whole package again.
    files.go(keep)
    return next((found[path] for path in wanted if path in found), None)


def _read_postinst(files: apt_inst.TarFile) -> str:
    try:
        return bytes(files.extractdata("postinst")).decode("utf-8", "replace")
    except LookupError:
        return ""


def _unzip(data: bytes | None) -> str | None:
    if data is None:
        return None
    try:
        with gzip.open(io.BytesIO(data)) as text:
            return text.read(CHANGELOG_LIMIT_BYTES).decode("utf-8", "replace")
    except (OSError, EOFError):
        return None


def download(version: apt.package.Version, directory: str) -> Path | None:
    """Fetch a package file, checked against the signed index; None when it cannot be had."""
    try:
        return Path(version.fetch_binary(directory, progress=apt.progress.base.AcquireProgress()))
    except (apt.package.FetchError, apt.package.UntrustedError, apt_pkg.Error, ValueError):
        return None


def open_sources(planned: list[apt.Package], directory: str) -> dict[str, Opened]:
    """Open one package for each source package: the smallest whose changelog can be read."""
    opened: dict[str, Opened] = {}
    for package in sorted(planned, key=lambda package: (package.candidate.size, package.name)):
        version = package.candidate
        known = opened.get(version.source_name)
        if known and known.changelog is not None:
            continue
        path = download(version, directory)
        if path:
            opened[version.source_name] = open_package(path, package.shortname)
            path.unlink()
    return opened
