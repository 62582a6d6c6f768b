"""What is mounted on a host, out of the kernel's own table.

Rules: a place that is covered by a later mount is told as the later one; a name that has blanks comes back
as it is; what systemd, containers and programs mount for themselves is no file system of the host. The tests
after an update run its text on the host as it stands, so it imports only what Python brings along.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import NamedTuple

TABLE = Path("/proc/self/mountinfo")
_ESCAPED = re.compile(r"\\([0-7]{3})")
_FIRST_WORDS, _LAST_WORDS = 6, 3
# Not the host's data: the kernel's own trees, and what lives in memory.
_OF_THE_KERNEL = {
    "autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs",
    "efivarfs", "fusectl", "hugetlbfs", "mqueue", "nsfs", "proc", "pstore", "ramfs", "rpc_pipefs",
    "securityfs", "selinuxfs", "sysfs", "tmpfs", "tracefs",
}  # fmt: skip
# Mounted and unmounted by programs as they go: comparing them after an update would say nothing.
_PASSING = ("/run/", "/proc/", "/sys/", "/dev/", "/snap/", "/var/lib/docker/", "/var/lib/containers/")


class Mount(NamedTuple):
    """One mount: its place, the path inside its file system, kind, device, and whether it is read-only."""

    place: str
    root: str
    kind: str
    source: str
    is_read_only: bool


def parse(text: str) -> dict[str, Mount]:
    """Return the mounts of a table (proc(5), mountinfo) by place; lines of another form are left out."""
    found = {}
    for line in text.splitlines():
        words, _, behind = line.partition(" - ")
        first, last = words.split(" "), behind.split(" ")
        if len(first) < _FIRST_WORDS or len(last) < _LAST_WORDS:
            continue
        root, place, source = (_plain(word) for word in (first[3], first[4], last[1]))
        # The mount and the file system below it have options of their own: either makes it read-only.
        read_only = "ro" in {*first[5].split(","), *last[2].split(",")}
        found[place] = Mount(place, root, last[0], source, read_only)
    return found


def read() -> dict[str, Mount]:
    """Return what is mounted now, by place."""
    return parse(TABLE.read_text(encoding="utf-8", errors="surrogateescape"))


def of_the_host(mounts: dict[str, Mount]) -> list[Mount]:
    """Return the mounts that hold the host's own files, sorted by place."""
    return [
        mount
        for place, mount in sorted(mounts.items())
        if mount.kind not in _OF_THE_KERNEL and not f"{place}/".startswith(_PASSING)
    ]


def told() -> list[dict[str, object]]:
    """Return the host's own mounts as they are recorded: ``place``, ``kind``, ``read_only``."""
    return [{"place": m.place, "kind": m.kind, "read_only": m.is_read_only} for m in of_the_host(read())]


def differences(before: list[dict[str, object]], now: list[dict[str, object]]) -> list[tuple[object, str]]:
    """Return each place that is not as before, with ``gone``, ``other kind`` or ``read-only``.

    What has come since is no difference, nor what can be written now and could not.
    """
    found = {mount["place"]: mount for mount in now}
    told = [(mount["place"], _difference(mount, found.get(mount["place"]))) for mount in before]
    return [(place, what) for place, what in told if what]


def _difference(before: dict[str, object], now: dict[str, object] | None) -> str:
    if now is None:
        return "gone"
    if now["kind"] != before["kind"]:
        return "other kind"
    return "read-only" if now["read_only"] and not before["read_only"] else ""


def _plain(word: str) -> str:
    return _ESCAPED.sub(lambda found: chr(int(found[1], 8)), word)


if __name__ == "__main__":
    asked = [json.loads(one) for one in json.loads(sys.argv[1])]
    print(json.dumps({"differences": differences(asked, told())}))
