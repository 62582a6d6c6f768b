"""A folder that nobody vouches for: lists and reads it without ever following a link out of it.

Rules:
1. Only ordinary files with one name, and folders. Links, devices and pipes are refused unread.
2. Names are such that a manifest, ``sha256sum`` and any file system keep them as they are: no unseen or
   steering characters, no backslash, no percent sign, and no two that differ only in case.
3. Every part of a path is opened by itself with ``O_NOFOLLOW``: what was listed cannot be swapped for a link.
"""

from __future__ import annotations

import hashlib
import os
import stat
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import TypeVar

from runner import errors
from runner.display import display

_Value = TypeVar("_Value")

MAX_NAME = 255
MAX_PATH = 1000
MAX_DEPTH = 8
MAX_READ = 512 * 1024 * 1024
"""Bytes of one file that is read as a whole; anything larger is only hashed."""


@dataclass(frozen=True)
class Tree:
    """The files and folders under ``root``, by their paths relative to it."""

    root: Path
    files: dict[str, int]
    """Path -> size in bytes."""
    folders: frozenset[str]
    digests: dict[str, str] = field(default_factory=dict)
    """Path -> SHA-256 of what was hashed already."""

    def within(self, folder: str) -> Tree:
        """Return the part under ``folder``, without listing or hashing anything again."""
        folders = frozenset(_below(folder, dict.fromkeys(self.folders)))
        return Tree(self.root / folder, _below(folder, self.files), folders, _below(folder, self.digests))

    def require(self, path: str) -> None:
        """Raise VerificationError when there is no such file."""
        if path not in self.files:
            raise errors.VerificationError(display(path), "is missing")

    def read(self, path: str) -> bytes:
        """Return the content of a file."""
        self.require(path)
        with self._open(path) as stream:
            data = stream.read(MAX_READ + 1)
        if len(data) > MAX_READ:
            raise errors.VerificationError(path, f"is larger than {MAX_READ} bytes")
        return data

    def sha256(self, path: str) -> str:
        """Return the SHA-256 of a file in hex."""
        self.require(path)
        if path not in self.digests:
            with self._open(path) as stream:
                self.digests[path] = hashlib.file_digest(stream, "sha256").hexdigest()
        return self.digests[path]

    @contextmanager
    def _open(self, path: str) -> Iterator[BufferedReader]:
        try:
            with os.fdopen(_open_below(self.root, path), "rb") as stream:
                if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                    raise errors.VerificationError(path, "is not an ordinary file")
                yield stream
        except OSError as error:
            raise errors.VerificationError(path, f"cannot be read: {error.strerror}") from error


def list_tree(root: Path, *, without: str | None = None) -> Tree:
    """Return what is under ``root``, leaving out the top folder named ``without``.

    Raises:
        VerificationError: naming the first thing that must not be there.
    """

    def refuse(error: OSError) -> None:
        path = os.path.relpath(error.filename or root, root)
        raise errors.VerificationError(display(path), error.strerror or "cannot be read") from error

    files: dict[str, int] = {}
    folders: set[str] = set()
    folded: dict[str, str] = {}
    for path, found in _entries(root, without, refuse):
        problem = _oddity(path) or _irregularity(found)
        if problem:
            raise errors.VerificationError(display(path), problem)
        other = folded.setdefault(path.casefold(), path)
        if other != path:
            raise errors.VerificationError(path, f"differs from {other} only in upper and lower case")
        if stat.S_ISDIR(found.st_mode):
            folders.add(path)
        else:
            files[path] = found.st_size
    return Tree(root, files, frozenset(folders))


def require_real_folders(root: Path, path: str) -> None:
    """Require that every part of ``path`` below ``root`` is a folder itself, and none a link to one.

    Raises:
        VerificationError: naming the first part that is not.
    """
    parts = path.split("/")
    for count in range(1, len(parts) + 1):
        part = "/".join(parts[:count])
        try:
            found = os.lstat(root / part)
        except OSError as error:
            missing = isinstance(error, FileNotFoundError)
            problem = "is missing" if missing else f"cannot be read: {error.strerror}"
            raise errors.VerificationError(display(part), problem) from error
        if not stat.S_ISDIR(found.st_mode):
            raise errors.VerificationError(display(part), _irregularity(found) or "is not a folder")


def _entries(
    root: Path, without: str | None, refuse: Callable[[OSError], None]
) -> Iterator[tuple[str, os.stat_result]]:
    for top, folders, files, descriptor in os.fwalk(root, onerror=refuse):
        at = os.path.relpath(top, root)
        base = "" if at == "." else f"{at}/"
        if not base and without in folders:
            folders.remove(without)
        # Sorted, so that the first thing wrong is the same one on every file system.
        folders.sort()
        for name in sorted(folders + files):
            try:
                yield base + name, os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            except FileNotFoundError:
                continue  # gone since it was listed; what ought to be there is missed later


def _below(folder: str, paths: dict[str, _Value]) -> dict[str, _Value]:
    start = f"{folder}/"
    return {path.removeprefix(start): value for path, value in paths.items() if path.startswith(start)}


def _open_below(root: Path, path: str) -> int:
    *folders, name = path.split("/")
    at = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for folder in folders:
            inner = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
            os.close(at)
            at = inner
        # Not blocking: opening a pipe that took the file's place must not hang.
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at)
    finally:
        os.close(at)


def name_problem(name: str) -> str | None:
    """Return why a file of a record must not have this name, or None when it may."""
    if name in {"", ".", ".."} or "/" in name:
        return "has a name that leads elsewhere"
    if display(name) != name or unicodedata.normalize("NFC", name) != name:
        return "has a name with characters that cannot be seen or written in more than one way"
    if "\\" in name or "%" in name:
        return "has a name that a manifest cannot hold as it is"
    if len(name.encode()) > MAX_NAME:
        return "has a name that is too long"
    return None


def _oddity(path: str) -> str | None:
    if len(path) > MAX_PATH or path.count("/") > MAX_DEPTH:
        return "has a path that is too long"
    return name_problem(path.rpartition("/")[2])


def _irregularity(found: os.stat_result) -> str | None:
    if stat.S_ISDIR(found.st_mode):
        return None
    if stat.S_ISLNK(found.st_mode):
        return "is a symbolic link"
    if not stat.S_ISREG(found.st_mode):
        return "is not an ordinary file"
    if found.st_nlink > 1:
        return "is a hard link: it has another name, by which it could be changed from elsewhere"
    return None
