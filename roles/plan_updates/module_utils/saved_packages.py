"""Package files that a run keeps on a host to go back with: where they are, and whether they are whole.

A folder per run below the state directory, root-only: one `.deb` per package of the plan in the version that
was installed before, and `saved.json` that names them with their digests.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

INDEX = "saved.json"
_PIECE = 1024 * 1024


def folder_of(state_directory: str, run: str) -> Path:
    """Return where a run keeps the packages of a host."""
    return Path(state_directory) / run / "packages"


def read_index(folder: Path) -> dict[str, dict[str, Any]]:
    """Return what is kept, by package: version, file, sha256, how it was had, notes."""
    try:
        found = json.loads((folder / INDEX).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError:
        return {}  # a write that was cut off: the files are saved again, and none is used unproven
    return found if isinstance(found, dict) else {}


def write_index(folder: Path, index: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the index beside the old one, then put it in place."""
    written = folder / f"{INDEX}.new"
    descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(index, file, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
    written.replace(folder / INDEX)


def digest_of(path: Path) -> str:
    """Return the SHA-256 of a regular file, "" when there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return ""
    digest = hashlib.sha256()
    with os.fdopen(descriptor, "rb") as content:
        while piece := content.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()


def whole_files(folder: Path, wanted: Mapping[str, str]) -> dict[str, Path]:
    """Return the kept files of these packages in these versions, those that are as they were saved."""
    index = read_index(folder)
    found = {}
    for package, version in wanted.items():
        kept = index.get(package, {})
        path = folder / Path(str(kept.get("file", ""))).name
        if kept.get("version") == version and kept.get("sha256") and digest_of(path) == kept["sha256"]:
            found[package] = path
    return found
