"""Which running programs run which code: after an update they still run the old one until restarted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

Programs = dict[str, set[str]]
"""Program file -> the files whose code its processes run, the program itself included."""

_FIELDS_OF_A_MAPPED_FILE = 6
_GONE = " (deleted)"
# Elsewhere programs map files that they themselves make and delete.
_INSTALLED = ("/usr/", "/lib", "/bin/", "/sbin/", "/opt/")


def code_by_program(proc: Path = Path("/proc")) -> Programs:
    """Return the code that every running program has mapped.

    Logins are left out: they end by themselves, and the connection that asks is one of them.
    """
    programs: Programs = {}
    for program, maps in _running(proc):
        if maps is not None:
            programs.setdefault(place(program), set()).update(mapped_code(maps))
    return programs


def old_code(proc: Path = Path("/proc")) -> tuple[Programs, int]:
    """Return which programs run files that were replaced since, and how many may not be looked at."""
    programs: Programs = {}
    hidden = 0
    for program, maps in _running(proc):
        if maps is None:
            hidden += 1
            continue
        gone = {path for path in _mapped(maps) if path.endswith(_GONE) and path.startswith(_INSTALLED)}
        if gone:
            files = {path[: -len(_GONE)] for path in gone}
            programs.setdefault(program.removesuffix(_GONE), set()).update(files)
    return programs, hidden


def _running(proc: Path) -> Iterator[tuple[str, str | None]]:
    """Yield program file and memory map of every process that is no login; no map if it may not be read."""
    processes = {int(entry.name): entry for entry in proc.iterdir() if entry.name.isdigit()}
    parents = {pid: _parent_and_name(entry) for pid, entry in processes.items()}
    for pid, entry in processes.items():
        if _is_login(pid, parents):
            continue
        try:
            program = str((entry / "exe").readlink())
            yield program, (entry / "maps").read_text(encoding="utf-8", errors="replace")
        except PermissionError:
            yield "", None
        except OSError:
            continue  # ended meanwhile, or a thread of the kernel


def _parent_and_name(entry: Path) -> tuple[int, str]:
    try:
        stat = (entry / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0, ""
    name, _, rest = stat.partition("(")[2].rpartition(")")
    return int(rest.split()[1]), name


def _is_login(pid: int, parents: dict[int, tuple[int, str]]) -> bool:
    """Whether a process descends from an sshd that is not the listening one."""
    while pid in parents:
        parent, name = parents[pid]
        if name.startswith("sshd") and parent != 1:
            return True
        pid = parent
    return False


def mapped_code(maps: str) -> set[str]:
    """Return the files that a process's memory map names as code."""
    return {place(path) for path in _mapped(maps)}


def _mapped(maps: str) -> set[str]:
    rows = (line.split(None, _FIELDS_OF_A_MAPPED_FILE - 1) for line in maps.splitlines())
    return {
        row[5]
        for row in rows
        if len(row) == _FIELDS_OF_A_MAPPED_FILE and "x" in row[1] and row[5].startswith("/")
    }


def place(path: str) -> str:
    """Return a path as both sides can be compared: /lib is /usr/lib, and a replaced file is the file."""
    return path.removesuffix(" (deleted)").removeprefix("/usr")


def ships_a_service(files: Iterable[str]) -> bool:
    """Whether a package's files hold a system service, which its own scripts restart."""
    return any("/systemd/system/" in path and path.endswith(".service") for path in files)


def is_left_running(files: Iterable[str], restarted: Iterable[str], programs: Programs) -> bool:
    """Whether some program runs code of the files and is not among the files that get restarted."""
    places = {place(path) for path in files}
    known = {place(path) for path in restarted}
    return any(code & places for program, code in programs.items() if program not in known)
