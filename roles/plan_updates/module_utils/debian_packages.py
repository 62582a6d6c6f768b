"""What the update roles ask dpkg and apt about a Debian host.

Rules kept here: commands are argument lists and never a shell; every tool speaks the C locale; no call may
ask a question; text from the host is stripped of control characters before anyone shows it.
"""

from __future__ import annotations

import fcntl
import os
import re
import struct
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

LOG_TAIL_CHARACTERS = 4000
DPKG_JOURNAL = Path("/var/lib/dpkg/updates")

ENVIRONMENT = {
    "LC_ALL": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
    "DEBCONF_NONINTERACTIVE_SEEN": "true",
    "APT_LISTCHANGES_FRONTEND": "none",
    # Restarts and reboots are steps of their own: needrestart must not decide them inside this one.
    "NEEDRESTART_SUSPEND": "1",
    "NEEDRESTART_MODE": "l",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
}

# A locally changed configuration file stays, and the new one lands beside it: no prompt can hang the host.
KEEP_CONFIGURATION = ("-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold")

# apt 2.6 now and then forgets what it is to fetch again after a pause, and waits for it for ever.
AT_ONCE = "Acquire::Retries::Delay=false"
# A mirror that hangs is given up: two more tries, 30 seconds each.
FETCH_LIMITS = (
    *("-o", "Acquire::Retries=2"),
    *("-o", AT_ONCE),
    *("-o", "Acquire::http::Timeout=30"),
    *("-o", "Acquire::https::Timeout=30"),
)

# A password would stand in the command line.
PROXY = re.compile(r"(https?://[^@\s/]+/?)?")

# Where a source offers a file's version too, apt fetches it there instead, and fails when no mirror answers.
NO_SOURCES = ("-o", "Dir::Etc::sourcelist=/dev/null", "-o", "Dir::Etc::sourceparts=/dev/null")

CONFIGURE_COMMAND = ("/usr/bin/dpkg", "--force-confdef", "--force-confold", "--configure", "--pending")

# apt names the holder of a lock while it waits at a terminal, and not when it gives up.
ARCHIVES_LOCK = "/var/cache/apt/archives/lock"
LOCKS = ("/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock", ARCHIVES_LOCK)
# struct flock of fcntl(2): kind, whence, start, length, process.
_FLOCK = "hhqqi"

_UNSAFE_CHARACTERS = re.compile(r"[^\n\t\x20-\x7e\xa0-\u200a\u2010-\u2027\u202f-\u2065\u2070-\uffff]")
_TERMINAL_SEQUENCE = re.compile(r"\x1b(?:\][^\x07\x1b]*(?:\x07|\x1b\\)?|\[[0-?]*[ -/]*[@-~]|.)")
# Progress that a carriage return overwrites.
_OVERWRITTEN = re.compile(r"^[^\n]*\r(?!\n|$)", re.MULTILINE)
_SIMULATED = re.compile(r"^(Inst|Remv) (\S+)(?: \[([^\]]*)\])?(?: \((\S+)[^)]*\))?", re.MULTILINE)


class Finished(NamedTuple):
    """How a command ended."""

    rc: int
    output: str


class PackageState(NamedTuple):
    """One package as dpkg records it: `status` is the two-letter form, such as `ii`, `hi` (held) or `iF`."""

    version: str
    status: str

    @property
    def is_settled(self) -> bool:
        """Whether the package is installed with nothing left to do."""
        return self.status[1:] == "i"

    @property
    def is_broken(self) -> bool:
        """Whether its files are not all there, or dpkg demands that it is installed again."""
        return self.status[1:2] == "H" or self.status[2:3] == "R"

    @property
    def is_held(self) -> bool:
        """Whether an administrator put the package on hold."""
        return self.status.startswith("h")


class Simulation(NamedTuple):
    """What apt says a command would do: package to version, and the names it would remove."""

    installs: dict[str, str]
    removes: list[str]


def clean_text(text: str) -> str:
    """Return the text as a terminal ends up showing it, without control characters and direction marks."""
    plain = _TERMINAL_SEQUENCE.sub("", text.replace("\r\n", "\n"))
    return _UNSAFE_CHARACTERS.sub("", _OVERWRITTEN.sub("", plain))


def log_tail(text: str, limit: int = LOG_TAIL_CHARACTERS) -> str:
    """Return the cleaned end of a log, cut at a line where one is near."""
    cleaned = clean_text(text).strip()
    if len(cleaned) <= limit:
        return cleaned
    tail = cleaned[-limit:]
    return "[...]\n" + tail.partition("\n")[2] if "\n" in tail else tail


def run_command(argv: Sequence[str], timeout: float = 120) -> Finished:
    """Run a command to its end; output and errors come together, in the order they were written."""
    try:
        done = subprocess.run(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=ENVIRONMENT,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as expired:
        heard = (expired.output or b"").decode("utf-8", "replace")
        return Finished(124, f"{heard}\nE: {argv[0]} did not end within {timeout:.0f} seconds")
    return Finished(done.returncode, done.stdout.decode("utf-8", "replace"))


def error_lines(output: str, limit: int = 6) -> str:
    """Return the lines in which apt or dpkg say what went wrong, as one sentence."""
    # dpkg says the reason on the line after the package's name.
    joined = re.sub(r"(dpkg: error[^\n]*:)\n\s+", r"\1 ", clean_text(output))
    said = [line.strip() for line in joined.splitlines()]
    errors = [line for line in said if line.startswith(("E:", "W:", "Err:", "dpkg: error"))]
    return "; ".join(dict.fromkeys(errors or [line for line in said if line][-2:]))[: limit * 200]


def why_failed(output: str) -> str:
    """Return the error lines, and who holds the lock when a lock is what is in the way."""
    said = error_lines(output)
    # Of one of its locks apt says by itself who holds it.
    named = [path for path in LOCKS if re.search(re.escape(path) + r"(?![\w-])", output)]
    unsaid = [path for path in named if f"{path}. It is held by" not in said]
    held = [path for path in unsaid if lock_holder(path)]
    return "; ".join([said, *(f"{path} is held by {lock_holder(path)}" for path in held)])


def wait_for_archives(timeout: float) -> None:
    """Wait until nobody holds the lock of apt's downloads, for which apt itself does not wait."""
    deadline = time.monotonic() + timeout
    while lock_holder(ARCHIVES_LOCK) and time.monotonic() < deadline:
        time.sleep(1)


def lock_holder(path: str) -> str:
    """Return the process that holds a lock file of apt or dpkg, "" when nobody does."""
    if not Path(path).exists():
        return ""
    with Path(path).open("rb") as file:
        asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, process = struct.unpack(_FLOCK, fcntl.fcntl(file, fcntl.F_GETLK, asked))
    if kind == fcntl.F_UNLCK:
        return ""
    name = Path(f"/proc/{process}/comm")
    return f"process {process} ({name.read_text().strip() if name.exists() else 'unknown'})"


def native_architecture() -> str:
    """Return the architecture dpkg was built for."""
    return run_command(["dpkg", "--print-architecture"]).output.strip()


def package_states() -> dict[str, PackageState]:
    """Return every unpacked package; those of a foreign architecture are named `package:architecture`."""
    form = "${Package}\t${Architecture}\t${db:Status-Abbrev}\t${Version}\n"
    listed = run_command(["dpkg-query", "--show", f"--showformat={form}"])
    return parse_package_states(listed.output, native_architecture())


def parse_package_states(listed: str, native: str) -> dict[str, PackageState]:
    """Read the table of `package_states`, leaving out packages that were removed."""
    states = {}
    for line in listed.splitlines():
        package, architecture, status, version = line.split("\t")
        if status[1:2] in {"n", "c"}:
            continue
        name = package if architecture in {native, "all"} else f"{package}:{architecture}"
        states[name] = PackageState(version, status.strip())
    return states


def dpkg_audit() -> list[str]:
    """Return what `dpkg --audit` complains about, one `package: state` each; dpkg itself when cut short."""
    said = parse_audit(run_command(["dpkg", "--audit"]).output)
    # Its own table may look whole then; apt refuses all work all the same.
    return said + (["dpkg: cut short in the middle of its work"] if is_dpkg_interrupted() else [])


def parse_audit(output: str) -> list[str]:
    """Read the prose of `dpkg --audit`: a sentence, then indented package names."""
    problems, heading = [], ""
    for line in clean_text(output).splitlines():
        if line.startswith(" ") and line.strip():
            problems.append(f"{line.split()[0]}: {_short_state(heading)}")
            heading = heading if heading.endswith("\n") else heading + "\n"
        elif line.strip():
            # The first line after a list of packages begins the next sentence.
            heading = line if heading.endswith("\n") else f"{heading} {line}".strip()
    return sorted(problems)


def _short_state(heading: str) -> str:
    match = re.search(r"packages? (?:is|are|have been|has been) (.+?)(?:[,.:;]|$)", heading.strip())
    return match.group(1) if match else heading.strip().rstrip(":")


def is_dpkg_interrupted() -> bool:
    """Whether dpkg was cut short inside a transaction: apt refuses all work until it is configured."""
    return any(entry.name.isdigit() for entry in DPKG_JOURNAL.iterdir())


def parse_simulation(output: str) -> Simulation:
    """Read the `Inst` and `Remv` lines of `apt-get --simulate`."""
    installs, removes = {}, []
    for verb, name, _old, new in _SIMULATED.findall(output):
        if verb == "Inst":
            installs[name] = new
        else:
            removes.append(name)
    return Simulation(installs, sorted(removes))


def install_command(
    versions: Mapping[str, str],
    *,
    lock_timeout: int,
    options: Iterable[str] = (),
    files: Mapping[str, Path] | None = None,
) -> list[str]:
    """Return the apt-get call that brings exactly these packages to exactly these versions.

    A package with a file of its own comes out of that, the others from the sources of the host, which are
    not asked when every package has one.
    """
    own = files or {}
    return [
        "/usr/bin/apt-get",
        "install",
        "--yes",
        "--no-install-recommends",
        "--no-remove",
        "-o",
        f"DPkg::Lock::Timeout={lock_timeout}",
        *FETCH_LIMITS,
        *KEEP_CONFIGURATION,
        *(NO_SOURCES if own.keys() >= versions.keys() else ()),
        *options,
        "--",
        *(str(own.get(package, f"{package}={version}")) for package, version in sorted(versions.items())),
    ]


def through(proxy: str) -> list[str]:
    """Return apt's options that send one call through a proxy; none leaves it to the host's own settings."""
    return [f"--option=Acquire::{way}::Proxy={proxy}" for way in ("http", "https") if proxy]


def simulation_differences(
    wanted: Mapping[str, str], simulated: Simulation, *, may_be_missing: Iterable[str] = ()
) -> list[str]:
    """Return, in words, everything apt would do beyond or short of the wanted versions."""
    installs, tolerated = simulated.installs, set(may_be_missing)
    extra = [f"would also install {name} {installs[name]}" for name in sorted(set(installs) - set(wanted))]
    wrong = [
        f"would install {name} {installs.get(name, 'not at all')} in place of {version}"
        for name, version in sorted(wanted.items())
        if installs.get(name) != version and not (name in tolerated and name not in installs)
    ]
    return extra + wrong + [f"would remove {name}" for name in simulated.removes]
