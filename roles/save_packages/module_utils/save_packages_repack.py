"""Builds a package file again out of what is installed, for a version that no source offers any more.

Rules kept here: what is not as the package brought it is never passed off as the package: a changed or
missing file refuses, but for configuration files, which are told, and documentation that the host leaves out.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from pathlib import Path

from ansible.module_utils import configuration_files
from ansible.module_utils import debian_packages as packages

# dpkg may be told to leave these out (path-exclude), and a package works without them.
_LEFT_OUT = ("usr/share/doc/", "usr/share/man/", "usr/share/info/", "usr/share/locale/", "usr/share/lintian/")
_NOT_IN_A_PACKAGE = {"status", "conffiles", "config-version", "triggers-pending", "triggers-awaited"}
_SCRIPTS = {"preinst", "postinst", "prerm", "postrm", "config"}


class RepackError(Exception):
    """The package cannot be built again as it was."""


def repack(package: str, target: Path, work: Path) -> list[str]:
    """Build the package file; return what differs from the original in words.

    Args:
        package: name of an installed package, `name:architecture` for a foreign one.
        target: the file to write.
        work: an empty root-only folder for its files.
    """
    tree = work / "tree"
    listed = _listed(package)
    notes = _write_control(package, tree / "DEBIAN")
    _require_as_shipped(package)
    for path in listed:
        _copy(Path(path), tree / path.lstrip("/"), is_folder=_has_below(path, listed))
    # What the folders are was lost by making what lies in them.
    for path in listed:
        _take_over(Path(path), tree / path.lstrip("/"))
    done = packages.run_command(["dpkg-deb", "-Zgzip", "--build", str(tree), str(target)], timeout=600)
    if done.rc != 0:
        raise RepackError(f"it cannot be built again: {packages.error_lines(done.output)}")
    return notes


def installed_md5sums(package: str) -> bytes:
    """Return the digests that the installed package brought, nothing when it brought none."""
    path = _control_path(package, "md5sums")
    return path.read_bytes() if path else b""


def _control_path(package: str, name: str) -> Path | None:
    done = packages.run_command(["dpkg-query", "--control-path", package, name])
    path = Path(done.output.strip())
    return path if done.rc == 0 and path.is_absolute() and path.is_file() else None


def _listed(package: str) -> list[str]:
    """Return what the package owns, folders before what lies in them."""
    done = packages.run_command(["dpkg-query", "--listfiles", package])
    lines = [line for line in done.output.splitlines() if line and line != "/."]
    other = [line for line in lines if not line.startswith("/")]
    if done.rc != 0 or other:
        said = other[0] if other else packages.error_lines(done.output)
        raise RepackError(f"another package takes the place of one of its files: {said}")
    return sorted(lines)


def _has_below(path: str, listed: list[str]) -> bool:
    return any(other.startswith(f"{path}/") for other in listed)


def _write_control(package: str, folder: Path) -> list[str]:
    folder.mkdir(parents=True)
    folder.chmod(0o755)
    told = packages.run_command(["dpkg-query", "--status", package])
    (folder / "control").write_text(control_of(told.output), encoding="utf-8")
    names = packages.run_command(["dpkg-query", "--control-list", package]).output.split()
    for name in sorted({*names} - {"list", "control", "conffiles"}):
        if source := _control_path(package, name):
            shutil.copyfile(source, folder / name)
            (folder / name).chmod(0o755 if name in _SCRIPTS else 0o644)
    return _settle_conffiles(package, folder)


def _settle_conffiles(package: str, folder: Path) -> list[str]:
    """Name the configuration files that are there, and say which go in as somebody changed them."""
    shipped = _shipped_conffiles(package)
    there = [path for path in shipped if Path(path).is_file()]
    if there:
        (folder / "conffiles").write_text("".join(f"{path}\n" for path in there), encoding="utf-8")
        (folder / "conffiles").chmod(0o644)
    changed = [path for path in there if shipped[path] != _md5(Path(path))]
    gone = sorted({*shipped} - {*there})
    return [f"without {path}, which was removed" for path in gone] + [
        f"with {path} as somebody changed it" for path in changed
    ]


def _shipped_conffiles(package: str) -> dict[str, str]:
    told = packages.run_command(["dpkg-query", "--show", "--showformat=${Conffiles}\\n", package]).output
    return {path: md5 for _, path, md5 in configuration_files.parse(f"{package}\n{told}")}


def control_of(status: str) -> str:
    """Return dpkg's record of a package as the control file it came with."""
    kept, is_kept = [], True
    for line in status.splitlines():
        if not line.startswith((" ", "\t")):
            is_kept = line.partition(":")[0].lower() not in _NOT_IN_A_PACKAGE
        if is_kept and line.strip():
            kept.append(line)
    return "".join(f"{line}\n" for line in kept)


def _require_as_shipped(package: str) -> None:
    # The list may name configuration files, where dpkg made it: they are judged apart.
    configuration = {path.lstrip("/") for path in _shipped_conffiles(package)}
    for line in installed_md5sums(package).decode("utf-8", "surrogateescape").splitlines():
        shipped, _, path = line.partition("  ")
        if path in configuration:
            continue
        found = _md5(Path("/") / path)
        if found != shipped and not (found is None and path.startswith(_LEFT_OUT)):
            raise RepackError(f"/{path} is {'missing' if found is None else 'changed'} on the host")


def _md5(path: Path) -> str | None:
    # dpkg's own digest, asked for changes by hand only.
    try:
        return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
    except OSError:
        return None


def _copy(source: Path, place: Path, *, is_folder: bool) -> None:
    try:
        mode = source.lstat().st_mode
    except FileNotFoundError:
        return  # judged by the digests; what they do not name is a configuration file or left out
    if is_folder or stat.S_ISDIR(mode):
        # /lib is a link on today's hosts, and a folder in the package.
        place.mkdir(parents=True, exist_ok=True)
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    if stat.S_ISLNK(mode):
        place.symlink_to(source.readlink())
    elif stat.S_ISREG(mode):
        shutil.copyfile(source, place)
    else:
        raise RepackError(f"{source} is neither a file nor a folder nor a link")


def _take_over(source: Path, place: Path) -> None:
    if not os.path.lexists(place):
        return
    found = source.stat() if place.is_dir() and not place.is_symlink() else source.lstat()
    os.chown(place, found.st_uid, found.st_gid, follow_symlinks=False)
    if not place.is_symlink():
        place.chmod(stat.S_IMODE(found.st_mode))
