"""Find processes that still run code from before a change of packages.

Two signs, both looked for: a process that has a replaced file of a package mapped as code (library, program),
and a service of a package that was started before the package was unpacked (a script leaves no mapping).
Login sessions are left out: they end by themselves, and the connection that asks is one of them.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

SLACK_SECONDS = 0.5


def read(path: Path) -> str:
    """Return a file of /proc, empty when its process has ended."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def output_of(*argv: str) -> str:
    """Return what a command that has to succeed prints."""
    return subprocess.run(argv, capture_output=True, text=True, check=True, errors="replace").stdout


def place(path: str) -> str:
    """Return a path without /usr and without what follows ``.so``: the same for old and new library."""
    return path.removeprefix("/usr").split(".so")[0]


def parents() -> dict[int, tuple[int, str]]:
    """Return parent and name of every process."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (text := read(entry / "stat")):
            name, _, rest = text.partition("(")[2].rpartition(")")
            found[int(entry.name)] = (int(rest.split()[1]), name)
    return found


def is_session(pid: int, processes: dict[int, tuple[int, str]]) -> bool:
    """Tell whether a process belongs to a login: it descends from an sshd that is not the listening one."""
    while pid in processes:
        parent, name = processes[pid]
        if name.startswith("sshd") and parent != 1:
            return True
        pid = parent
    return False


def replaced_code(pid: int) -> set[str]:
    """Return the files that a process runs code from and that are no longer on disk."""
    rows = (line.split(None, 5) for line in read(Path(f"/proc/{pid}/maps")).splitlines())
    mapped = {row[5] for row in rows if len(row) == 6 and "x" in row[1] and row[5].startswith("/")}
    return {path.removesuffix(" (deleted)") for path in mapped if path.endswith(" (deleted)")}


def is_redhat() -> bool:
    """Tell whether rpm is what this host's packages are recorded by."""
    lines = Path("/etc/os-release").read_text().splitlines()
    fields = {key: value.strip("\"'") for key, _, value in (line.partition("=") for line in lines)}
    return bool({"rhel", "fedora", "centos"} & {fields.get("ID", ""), *fields.get("ID_LIKE", "").split()})


def files_of(package: str) -> list[str]:
    """Return the files of an installed package."""
    program = ("rpm", "--query", "--list") if is_redhat() else ("dpkg-query", "--listfiles")
    return output_of(*program, package).splitlines()


def unpacked_at(package: str) -> float:
    """Return when the package's files were last replaced."""
    if is_redhat():
        times = output_of("rpm", "--query", "--queryformat=%{INSTALLTIME}\\n", package).split()
        return max((float(at) for at in times), default=0.0)
    lists = [
        *Path("/var/lib/dpkg/info").glob(f"{package}.list"),
        *Path("/var/lib/dpkg/info").glob(f"{package}:*.list"),
    ]
    return max((path.stat().st_mtime for path in lists), default=0.0)


def services_of(files: list[str]) -> list[str]:
    """Return the running services whose unit files belong to a package."""
    names = [Path(path).name for path in files if "/systemd/system/" in path and path.endswith(".service")]
    if not names:
        return []
    patterns = [name.replace("@.service", "@*.service") for name in names]
    text = output_of(
        "systemctl", "list-units", "--state=active", "--plain", "--no-legend", "--full", *patterns
    )
    return [line.split()[0] for line in text.splitlines()]


def started_at(unit: str) -> float:
    """Return when the main process of a service was started; 0 when it has none."""
    text = output_of("systemctl", "show", "--property=MainPID,ExecMainStartTimestampMonotonic", unit)
    found = dict(line.split("=", 1) for line in text.splitlines())
    if found["MainPID"] == "0":
        return 0.0
    return time.time() - time.monotonic() + int(found["ExecMainStartTimestampMonotonic"]) / 1e6


def old_mappings(files: dict[str, list[str]]) -> Iterator[dict[str, str]]:
    """Find processes that run replaced files of the packages."""
    processes = parents()
    places = {place(path): package for package, paths in files.items() for path in paths}
    for pid, (_, name) in sorted(processes.items()):
        old = sorted(path for path in replaced_code(pid) if place(path) in places)
        if old and not is_session(pid, processes):
            yield {"process": f"{name} ({pid})", "package": places[place(old[0])], "sign": old[0]}


def old_services(files: dict[str, list[str]]) -> Iterator[dict[str, str]]:
    """Find services of the packages that were started before the packages were replaced."""
    for package, paths in files.items():
        unpacked = unpacked_at(package)
        for unit in services_of(paths):
            if 0 < started_at(unit) < unpacked - SLACK_SECONDS:
                yield {"process": unit, "package": package, "sign": "started before"}


def old_code(packages: list[str]) -> list[dict[str, str]]:
    """Return every process and service of a changed package that still runs old code."""
    files = {package: files_of(package) for package in packages}
    return [*old_mappings(files), *old_services(files)]


print(json.dumps({"found": old_code(json.loads(sys.argv[1]))}))
