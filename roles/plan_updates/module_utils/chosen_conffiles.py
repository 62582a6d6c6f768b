"""Puts the new configuration file of a package in place of one that was changed, where that was decided.

The file is placed right before the package is unpacked: dpkg finds it as the package brings it, asks nothing,
and the package's own scripts start its services with it. What was there goes beside it (`.dpkg-old`), as dpkg
itself does it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible.module_utils import configuration_files
from ansible.module_utils import debian_packages as packages

KEEP, NEW = "keep", "new"
Content = dict[str, bytes]
"""path -> what the new version of its package brings."""


def with_choices(changed: Iterable[Mapping[str, str]], chosen: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the changed files with what is chosen for each, and the digest of what was seen there."""
    return [
        {**item, "choice": chosen.get(item["path"], KEEP), "sha256": digest_at(Path(item["path"]))}
        for item in changed
    ]


def digest_at(path: Path) -> str:
    """Return the SHA-256 of a file, "" when there is none."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def as_decided(conffiles: Iterable[Mapping[str, Any]], chosen: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the entries of a plan with what was chosen at the gate in place of what it proposed."""
    return [{**item, "choice": chosen.get(item["path"], item.get("choice", KEEP))} for item in conffiles]


def to_place(conffiles: Iterable[Mapping[str, Any]], pending: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the entries of a plan whose new file is chosen, of packages that are to be installed."""
    return [dict(item) for item in conffiles if item.get("choice") == NEW and item["package"] in pending]


def fetch(
    entries: list[dict[str, Any]], pending: Mapping[str, str], options: Sequence[str] = ()
) -> tuple[Content, list[str]]:
    """Return the new files, and in words why one of them must not or cannot be placed. Changes nothing."""
    content: Content = {}
    problems: list[str] = []
    for package in sorted({entry["package"] for entry in entries}):
        with tempfile.TemporaryDirectory(prefix="rawat-conffiles-") as folder:
            paths = [entry["path"] for entry in entries if entry["package"] == package]
            try:
                content |= _unpacked(f"{package}={pending[package]}", paths, Path(folder), options)
            except LookupError as error:
                problems.append(str(error.args[0]))
    for entry in entries:
        path = Path(entry["path"])
        is_new = entry["path"] in content and digest_at(path) == _sha256(content[entry["path"]])
        if not is_new and digest_at(path) != entry.get("sha256"):
            problems.append(f"{path} was changed again since it was planned")
    return content, problems


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _unpacked(named: str, paths: list[str], folder: Path, options: Sequence[str]) -> Content:
    # apt downloads as its own unprivileged user.
    shutil.chown(folder, "_apt")
    command = ["/usr/bin/env", f"--chdir={folder}", "apt-get", "download", "--quiet", *packages.FETCH_LIMITS]
    done = packages.run_command([*command, *options, "--", named], timeout=600)
    files = sorted(folder.glob("*.deb"))
    if done.rc != 0 or len(files) != 1:
        raise LookupError(
            f"{named.replace('=', ' ', 1)} cannot be fetched: {packages.error_lines(done.output)}"
        )
    tree = folder / "tree"
    opened = packages.run_command(["dpkg-deb", "--extract", str(files[0]), str(tree)], timeout=600)
    told = packages.run_command(["dpkg-deb", "--info", str(files[0]), "conffiles"])
    shipped = told.output.split("\n") if told.rc == 0 else []
    missing = [path for path in paths if path not in shipped or not (tree / path.lstrip("/")).is_file()]
    if opened.rc != 0 or missing:
        raise LookupError(
            f"{named.replace('=', ' ', 1)} ships no configuration file {', '.join(missing or paths)}"
        )
    return {path: (tree / path.lstrip("/")).read_bytes() for path in paths}


def place(content: Content) -> list[str]:
    """Put the new files in place; return those that were not there yet."""
    placed = []
    for name, new in sorted(content.items()):
        path = Path(name)
        if digest_at(path) == _sha256(new):
            continue
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        if path.exists():
            _put(path.with_name(f"{path.name}.dpkg-old"), path.read_bytes(), like=path)
        _put(path, new, like=path)
        placed.append(name)
    return placed


def _put(target: Path, content: bytes, *, like: Path) -> None:
    descriptor, written = tempfile.mkstemp(prefix=".rawat-", dir=target.parent)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        if like.exists():
            about = like.stat()
            os.fchown(file.fileno(), about.st_uid, about.st_gid)
            os.fchmod(file.fileno(), about.st_mode & 0o7777)
        else:
            os.fchmod(file.fileno(), 0o644)
        file.flush()
        os.fsync(file.fileno())
    Path(written).replace(target)


def not_in_effect(entries: list[dict[str, Any]]) -> list[str]:
    """Return in words which chosen files are not the ones of the package that is installed now."""
    names = sorted({entry["package"] for entry in entries})
    changed = {item["path"] for item in configuration_files.changed_by_hand(names)} if names else set()
    wrong = sorted(entry["path"] for entry in entries if entry["path"] in changed)
    return [f"{path} is not the new file that was decided on" for path in wrong]
