"""Looks at a host in one go and prints what it found as one line of JSON.

It runs on the host, with the host's own Python (3.9 or newer) and the standard library alone. It is sent over
the connection and never written to the host's disk. It changes nothing and judges nothing. Each thing is
looked at by itself: what cannot be read, or does not answer in time, is told as an error under its name, and
everything else is told all the same. Memory, CPU time, duration and the length of every list are limited: a
sick host must not become sicker by being looked at.
"""

from __future__ import annotations

import ctypes
import glob
import grp
import itertools
import json
import os
import resource
import select
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from io import BufferedReader
from pathlib import Path

# Sent along from the role that plans updates, so that both roles tell the same.
import certificate_end
import clamav_database
import running_code

Facts = dict

MARK = "RAWAT-CHECK "
MOST_ITEMS = 200
MOST_BYTES = 1_000_000
MOST_MEMORY = 512 * 1024 * 1024
CPU_SECONDS = 30
COMMAND_SECONDS = 10
DISK_SECONDS = 3
# Words that the sentences of documents know.
NEEDS_ROOT, NO_ANSWER, NOT_THERE, NOT_TOLD = "needs_root", "no_answer", "not_there", "not_told"
ELSEWHERE = "listens_elsewhere"

NOT_ON_A_DISK = frozenset([
    "autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs",
    "efivarfs", "fuse.gvfsd-fuse", "fuse.lxcfs", "fuse.portal", "fusectl", "hugetlbfs", "mqueue", "nsfs",
    "proc", "pstore", "ramfs", "rootfs", "rpc_pipefs", "securityfs", "selinuxfs", "sysfs", "tracefs",
])  # fmt: skip
# How the kernel writes ::ffff:, before an address of IPv4 in a table of IPv6.
MAPPED = "0" * 16 + "FFFF0000"
# Always full, because they are packed that way.
PACKED = frozenset(["cramfs", "erofs", "iso9660", "romfs", "squashfs", "udf"])


class UnmeasuredError(Exception):
    """Something cannot be told, and why."""


def text_of(path: str, most: int = MOST_BYTES) -> str:
    """Return the beginning of a file as text."""
    with Path(path).open("rb") as stream:
        return stream.read(most).decode("utf-8", "replace")


def printed_by(argv: list[str], accepted: Iterable[int] = (0,), most: int = MOST_BYTES) -> str:
    """Return what a command prints; one that is not there, fails or takes too long is an error."""
    environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "SYSTEMD_PAGER": ""}
    try:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        raise UnmeasuredError(f"{argv[0]} is not there") from error
    try:
        out = heard_from(child.stdout, argv[0], most)
        status = child.wait(COMMAND_SECONDS)
    except (UnmeasuredError, subprocess.TimeoutExpired):
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        raise
    finally:
        child.stdout.close()
    if status not in accepted:
        raise UnmeasuredError(f"{argv[0]} ended with {status}")
    return out.decode("utf-8", "replace")


def heard_from(stream: BufferedReader, name: str, most: int) -> bytes:
    """Return everything that comes out of a command, unless it is too much or takes too long."""
    out = b""
    ends = time.monotonic() + COMMAND_SECONDS
    while select.select([stream], [], [], max(0, ends - time.monotonic()))[0]:
        piece = os.read(stream.fileno(), 65536)
        out += piece
        if not piece:
            return out
        if len(out) > most:
            raise UnmeasuredError(f"{name} printed more than {most} bytes")
    raise UnmeasuredError(f"{name} did not end within {COMMAND_SECONDS} seconds")


def capped(items: Iterable[object]) -> Facts:
    """Return the first of many items, and how many more there are."""
    items = list(items)
    return {"items": items[:MOST_ITEMS], "cut": max(0, len(items) - MOST_ITEMS)}


# What runs ------------------------------------------------------------------------------------------


def system(_: Facts) -> Facts:
    """Tell what the host is, and as whom it is looked at."""
    release = dict(
        line.split("=", 1) for line in text_of("/etc/os-release").splitlines() if line.count("=") == 1
    )
    return {
        "name": release.get("NAME", "").strip('"'),
        "version": release.get("VERSION_ID", "").strip('"'),
        "hostname": os.uname().nodename,
        "is_root": os.geteuid() == 0,
        "is_container": Path("/run/systemd/container").exists(),
        "python": ".".join(str(number) for number in sys.version_info[:3]),
    }


def boot(_: Facts) -> Facts:
    """Tell since when it runs."""
    return {
        "uptime_seconds": float(text_of("/proc/uptime").split()[0]),
        "boot_id": text_of("/proc/sys/kernel/random/boot_id").strip(),
    }


def load(_: Facts) -> Facts:
    """Tell the load, and the cores it is for."""
    one, five, fifteen = (float(word) for word in text_of("/proc/loadavg").split()[:3])
    return {"1": one, "5": five, "15": fifteen, "cores": len(os.sched_getaffinity(0))}


def memory(_: Facts) -> Facts:
    """Tell the memory and swap."""
    return parse_meminfo(text_of("/proc/meminfo"))


def parse_meminfo(text: str) -> Facts:
    """Return bytes by the names of /proc/meminfo."""
    names = {
        "MemTotal": "total",
        "MemAvailable": "available",
        "SwapTotal": "swap_total",
        "SwapFree": "swap_free",
    }
    found = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        if name in names:
            found[names[name]] = int(rest.split()[0]) * 1024
    missing = set(names.values()) - set(found)
    if missing:
        raise UnmeasuredError(f"/proc/meminfo tells nothing of {', '.join(sorted(missing))}")
    return found


def processes(_: Facts) -> Facts:
    """Count what hangs: processes that ended and nobody took note of, and those that wait for a device."""
    states = [parse_stat(text) for text in texts_of_processes("stat")]
    return {
        "count": len(states),
        "zombies": capped(name for name, state in states if state == "Z"),
        "blocked": capped(name for name, state in states if state == "D"),
    }


def texts_of_processes(file: str) -> Iterator[str]:
    """Yield what the kernel tells of each process under a name."""
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                yield text_of(f"{process}/{file}")
            except OSError:
                continue  # it ended meanwhile


def parse_stat(text: str) -> tuple[str, str]:
    """Return name and state of a process; its name may hold anything, brackets included."""
    name, bracket, rest = text.partition("(")[2].rpartition(")")
    return name, rest.split()[0] if bracket and rest.split() else "?"


def kernel(_: Facts) -> Facts:
    """Tell the running kernel and those that are installed."""
    images = (path.name[len("vmlinuz-") :] for path in Path("/boot").glob("vmlinuz-*"))
    installed = sorted(release for release in images if "rescue" not in release)
    return {"running": os.uname().release, "installed": installed[:MOST_ITEMS]}


def old_code(_: Facts) -> Facts:
    """Tell which programs run files that were replaced since they started."""
    programs, hidden = running_code.old_code()
    told = [{"program": program, "files": sorted(files)[:5]} for program, files in sorted(programs.items())]
    return {**capped(told), "hidden": hidden}


def units(_: Facts) -> Facts:
    """Tell which units of systemd failed."""
    listed = printed_by(["systemctl", "list-units", "--state=failed", "--plain", "--no-legend", "--no-pager"])
    return capped(line.split()[0] for line in listed.splitlines() if line.split())


def expected_units(wanted: Facts) -> Facts:
    """Tell how the units are that the office expects, by the name it gives them."""
    names = wanted["expected_units"]
    if not names:
        return {}
    asked = "LoadState,ActiveState,SubState,UnitFileState,Type,TriggeredBy,RemainAfterExit"
    told = printed_by(["systemctl", "show", f"--property={asked}", "--", *names])
    blocks = [dict(line.split("=", 1) for line in block.splitlines()) for block in told.strip().split("\n\n")]
    if len(blocks) != len(names):
        raise UnmeasuredError(f"systemctl told of {len(blocks)} units, not of {len(names)}")
    found = {name: blocks[number] for number, name in enumerate(names)}
    callers = sorted({caller for told in found.values() for caller in told.get("TriggeredBy", "").split()})
    if callers:
        # A unit that waits to be called waits in vain when what would call it is down.
        shown = printed_by(["systemctl", "show", "--property=ActiveState", "--value", "--", *callers])
        up = {callers[at] for at, state in enumerate(shown.split()) if state == "active"}
        for told in found.values():
            told["callers_up"] = "yes" if up & set(told.get("TriggeredBy", "").split()) else "no"
    return found


def reboot(_: Facts) -> Facts:
    """Tell whether installed updates ask for a restart."""
    if Path("/etc/debian_version").exists():
        required = Path("/run/reboot-required").exists()
        asking = Path("/run/reboot-required.pkgs")
        names = asking.read_text(encoding="utf-8", errors="replace") if asking.exists() else ""
        return {"required": required, "packages": sorted(set(names.split()))[:MOST_ITEMS] if required else []}
    # What needs-restarting asks, without loading dnf: packages of the core installed after the last boot.
    began = time.time() - float(text_of("/proc/uptime").split()[0])
    core = [
        "kernel-core",
        "kernel",
        "glibc",
        "systemd",
        "systemd-udev",
        "dbus",
        "linux-firmware",
        "openssl-libs",
    ]
    # rpm ends with the number of packages that are not installed.
    told = printed_by(["rpm", "-q", "--qf", "%{NAME} %{INSTALLTIME}\\n", *core], accepted=range(len(core)))
    rows = (line.split() for line in told.splitlines())
    since = sorted({row[0] for row in rows if row[-1].isdigit() and int(row[-1]) > began})
    return {"required": bool(since), "packages": since}


# Disks ----------------------------------------------------------------------------------------------


def disks(_: Facts) -> Facts:
    """Tell how full every file system is. A dead server's one never answers: each is asked by a child."""
    mounts = parse_mounts(text_of("/proc/self/mountinfo"))
    left, told = mounts[:MOST_ITEMS], []
    ends = time.monotonic() + COMMAND_SECONDS
    while left:
        answers = ask_disks([mount["place"] for mount in left], ends)
        told += [{**left[number], **answer} for number, answer in enumerate(answers)]
        left = left[len(answers) :]
        if left and time.monotonic() < ends:
            told.append({**left.pop(0), "error": NO_ANSWER})
        elif left:
            told += [{**mount, "error": NO_ANSWER} for mount in left]
            break
    return {
        "items": told,
        "cut": max(0, len(mounts) - MOST_ITEMS),
        "declared_read_only": declared_read_only(),
    }


def parse_mounts(text: str) -> list[Facts]:
    """Return the file systems that can fill, each once, where it was mounted first."""
    found = {}
    for line in text.splitlines():
        before, _, after = line.partition(" - ")
        words, kind = before.split(), after.split()
        if len(words) < 6 or len(kind) < 3 or kind[0] in NOT_ON_A_DISK or kind[0] in PACKED:
            continue
        place = (
            words[4]
            .replace("\\040", " ")
            .replace("\\011", "\t")
            .replace("\\012", "\n")
            .replace("\\134", "\\")
        )
        if kind[0] == "overlay" and place != "/":
            continue  # a container's view of a file system that is told of itself
        mount = {"place": place, "type": kind[0], "read_only": "ro" in kind[2].split(",")}
        known = found.get(words[2])
        if known is None or len(place) < len(known["place"]):
            found[words[2]] = mount
    # What was mounted over another hides it: of two at one place only the later one can be asked.
    seen = {mount["place"]: mount for mount in found.values()}
    return [seen[place] for place in sorted(seen) if not place.startswith(("/proc/", "/sys/", "/run/host/"))]


def ask_disks(places: list[str], ends: float) -> list[Facts]:
    """Return an answer per place, in order, as far as they come in time."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        answer_disks(places, writing)
    os.close(writing)
    heard = b""
    while time.monotonic() < ends:
        ready = select.select([reading], [], [], DISK_SECONDS)[0]
        piece = os.read(reading, 65536) if ready else b""
        if not piece:
            break
        heard += piece
    os.close(reading)
    os.kill(child, signal.SIGKILL)
    # One that waits for a dead server cannot be ended, only left behind.
    os.waitpid(child, os.WNOHANG)
    return [json.loads(line) for line in heard.split(b"\n")[:-1]]


def answer_disks(places: list[str], writing: int) -> None:
    """Be the child: ask each place, and let go of the connection, which must not wait for it."""
    for number in (0, 1, 2):
        os.close(number)
    for place in places:
        try:
            said = os.statvfs(place)
            answer = {
                "bytes": said.f_blocks * said.f_frsize,
                "used": (said.f_blocks - said.f_bfree) * said.f_frsize,
                "free": said.f_bavail * said.f_frsize,
                "inodes": said.f_files,
                "inodes_free": said.f_favail,
            }
        except OSError as error:
            answer = {"error": error.strerror}
        os.write(writing, json.dumps(answer).encode() + b"\n")
    os._exit(0)


def declared_read_only() -> list[str]:
    """Return the places that the host itself wants read-only."""
    try:
        rows = [line.split() for line in text_of("/etc/fstab").splitlines() if not line.startswith("#")]
    except OSError:
        return []
    return [row[1] for row in rows if len(row) > 3 and "ro" in row[3].split(",")]


# Network and time -----------------------------------------------------------------------------------


def ports(_: Facts) -> Facts:
    """Tell which ports are listened on, and whether others than this host reach them."""
    low, high = (int(word) for word in text_of("/proc/sys/net/ipv4/ip_local_port_range").split())
    found = set()
    for table, listening in (("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07")):
        try:
            text = text_of(f"/proc/net/{table}")
        except OSError:
            continue  # no IPv6 on this host
        found |= {(table[:3], *row) for row in parse_ports(text, listening)}
    # Who listens by TCP wants to be called; by UDP it may be the end of somebody's own question.
    told = [
        {
            "port": f"{protocol}/{number}",
            "local": local,
            "chosen": protocol == "udp" and low <= number <= high,
        }
        for protocol, number, local in sorted(found)
    ]
    # A port that is open to all is told once, whatever else listens there on this host alone.
    open_to_all = {each["port"] for each in told if not each["local"]}
    return capped(each for each in told if not each["local"] or each["port"] not in open_to_all)


def parse_ports(text: str, listening: str) -> set[tuple[int, bool]]:
    """Return (port, whether only this host reaches it) of a table of /proc/net."""
    found = set()
    for row in (line.split() for line in text.splitlines()[1:]):
        if len(row) < 4 or row[3] != listening:
            continue
        address, _, port = row[1].rpartition(":")
        if len(address) == 32 and address.startswith(MAPPED):
            address = address[len(MAPPED) :]
        local = address[-2:] == "7F" if len(address) == 8 else address == "0" * 24 + "01000000"
        found.add((int(port, 16), local))
    return found


def clock(_: Facts) -> Facts:
    """Ask the kernel, which every time service tells how far it is: no client of any of them is needed."""
    # struct timex on 64 bits: modes, offset, freq, maxerror, esterror, status, ...
    answer = (ctypes.c_long * 64)()
    state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(answer))
    if state < 0 or ctypes.sizeof(ctypes.c_long) != 8:
        raise UnmeasuredError(NOT_TOLD)  # so it is in containers, whose clock is that of the machine
    status = answer[5] & 0xFFFFFFFF
    names = ("systemd-timesyn", "chronyd", "ntpd", "ntpsec", "openntpd")
    running = sorted(set(names) & {name.strip() for name in texts_of_processes("comm")})
    return {
        "synchronized": state != 5 and not status & 0x40,
        "largest_error_seconds": answer[3] / 1e6,
        "services": running,
    }


# Certificates, journal, packages --------------------------------------------------------------------


def certificates(wanted: Facts) -> Facts:
    """Tell when each certificate ends."""
    told = []
    for pattern in wanted["certificates"]:
        paths = sorted(itertools.islice(glob.iglob(pattern), MOST_ITEMS + 1))  # noqa: PTH207 - absolute patterns
        if not paths and not glob.has_magic(pattern):
            told.append({"path": pattern, "error": NOT_THERE})
        told += [{"path": folder, "error": NEEDS_ROOT} for folder in closed_folders(pattern)]
        for path in paths:
            try:
                told.append({"path": path, "not_after": certificate_end.end_of_certificate(path)})
            except (OSError, ValueError) as error:
                told.append({"path": path, "error": str(error)})
    return capped(told)


def closed_folders(pattern: str) -> list[str]:
    """Return the folders of a pattern that this account cannot read: glob passes over them."""
    found = set()
    parts = pattern.split("/")
    for count, part in enumerate(parts):
        if glob.has_magic(part):
            above = "/".join(parts[:count]) or "/"
            folders = glob.iglob(above) if glob.has_magic(above) else [above]  # noqa: PTH207 - absolute patterns
            found |= {folder for folder in itertools.islice(folders, MOST_ITEMS) if is_closed(folder)}
    return sorted(found)


def is_closed(folder: str) -> bool:
    """Tell whether a folder is there, or may be, and its names cannot be read."""
    try:
        is_folder = stat.S_ISDIR(Path(folder).stat().st_mode)
    except PermissionError:
        return True
    except OSError:
        return False
    return is_folder and not os.access(folder, os.R_OK | os.X_OK)


def journal(_: Facts) -> Facts:
    """Count the errors in the journal since the last boot, at most of a day."""
    if os.geteuid() and not {"adm", "systemd-journal", "wheel"} & own_groups():
        raise UnmeasuredError(NEEDS_ROOT)
    lines = printed_by(
        [
            "journalctl",
            "--quiet",
            "--no-pager",
            "--boot",
            "--since=-24h",
            "--priority=3",
            "--lines=1000",
            "--output=json",
            "--output-fields=_SYSTEMD_UNIT,SYSLOG_IDENTIFIER",
        ],
        most=4 * MOST_BYTES,
    ).splitlines()
    return count_by_unit(lines)


def own_groups() -> set[str]:
    """Return the groups this process is in, by name."""
    found = set()
    for number in os.getgroups():
        try:
            found.add(grp.getgrgid(number).gr_name)
        except KeyError:
            continue
    return found


def count_by_unit(lines: list[str]) -> Facts:
    """Return how many errors there are, and of which units most of them."""
    counts = {}
    for line in lines:
        said = json.loads(line)
        unit = said.get("_SYSTEMD_UNIT") or said.get("SYSLOG_IDENTIFIER") or "kernel"
        unit = unit[:100] if isinstance(unit, str) else "?"
        counts[unit] = counts.get(unit, 0) + 1
    most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:10]
    return {
        "count": len(lines),
        "is_all": len(lines) < 1000,
        "units": [{"unit": u, "count": c} for u, c in most],
    }


def packages(_: Facts) -> Facts:
    """Tell which packages are not whole, as ``dpkg --audit`` does, without starting it."""
    table = Path("/var/lib/dpkg/status")
    if not table.exists():
        return {**capped([]), "interrupted": False, "is_dpkg": False}
    with table.open(encoding="utf-8", errors="replace") as lines:
        broken = parse_dpkg_status(lines)
    left_over = any(Path("/var/lib/dpkg/updates").iterdir())
    return {**capped(broken), "interrupted": left_over, "is_dpkg": True}


def parse_dpkg_status(lines: Iterable[str]) -> list[Facts]:
    """Return the packages of dpkg's table that are neither wholly there nor wholly gone."""
    whole = ("installed", "config-files", "not-installed")
    broken, package = [], ""
    for line in lines:
        if line.startswith("Package: "):
            package = line[9:].strip()
        elif line.startswith("Status: "):
            words = line.split()[1:]
            if len(words) != 3 or words[1] != "ok" or words[2] not in whole:
                broken.append({"package": package, "state": " ".join(words)})
    return broken


# Backup and antivirus -------------------------------------------------------------------------------


def backup(wanted: Facts) -> Facts:
    """Read what the role that backs up leaves on the host once a snapshot is proven."""
    path = wanted["backup_marker"]
    try:
        made = json.loads(text_of(path))["started"]
    except FileNotFoundError:
        return {"at": None}
    except PermissionError as error:
        raise UnmeasuredError(NEEDS_ROOT) from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UnmeasuredError(f"{path} is not what a backup leaves there") from error
    return {"at": float(made)}


def antivirus(_: Facts) -> Facts:
    """Tell which database the antivirus has on disk and has loaded."""
    settings = clamav_database.read_first(clamav_database.FRESHCLAM_CONFS)
    if not any(
        Path(path).exists() for path in ("/usr/sbin/clamd", "/usr/bin/clamscan", "/usr/bin/freshclam")
    ):
        return {"product": None}
    scanner = clamav_database.read_first(clamav_database.CLAMD_CONFS)
    engine, loaded = clamav_database.ask_daemon(scanner, timeout=5)
    built = clamav_database.built_on_disk(settings)
    return {
        "product": "ClamAV",
        "engine": engine or None,
        "has_daemon": Path("/usr/sbin/clamd").exists(),
        "on_disk": clamav_database.version_on_disk(settings),
        "loaded": loaded,
        "unanswered": why_unanswered(scanner) if loaded is None else "",
        "built": built,
    }


def why_unanswered(scanner: dict[str, list[str]]) -> str:
    """Return why a clamd that is at work gave no answer; empty when none is at work."""
    units = ["clamav-daemon.service", "clamd@*.service"]
    try:
        told = printed_by(["systemctl", "show", "--property=ActiveState", "--value", "--", *units])
    except UnmeasuredError:
        return ""  # no systemd that could say more than the socket did
    if not {"active", "activating", "reloading"} & set(told.split()):
        return ""
    asked = clamav_database.listening_at(scanner)
    if not asked:
        return ELSEWHERE
    is_closed_to_us = os.geteuid() and any(isinstance(at, str) and not os.access(at, os.W_OK) for at in asked)
    return NEEDS_ROOT if is_closed_to_us else NO_ANSWER


LOOKED_AT = (
    system, boot, load, memory, processes, kernel, old_code, units, expected_units, reboot, disks, ports,
    clock, certificates, journal, packages, backup, antivirus,
)  # fmt: skip


def main(wanted: Facts) -> None:
    """Look at everything and print it."""
    began = time.time()
    os.nice(5)
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.alarm(wanted["seconds"])
    facts, errors = {}, {}
    for look in LOOKED_AT:
        try:
            facts[look.__name__] = look(wanted)
        except UnmeasuredError as error:
            errors[look.__name__] = str(error)[:300]
        except Exception as error:  # noqa: BLE001 - whatever one look meets, the others are told
            errors[look.__name__] = f"{error.__class__.__name__}: {error}"[:300]
    told = {"began": began, "ended": time.time(), "facts": facts, "errors": errors}
    print(MARK + json.dumps(told), flush=True)
