"""One update of ClamAV's database: fetched, verified by freshclam, and loaded by the scanner."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: update_antivirus_database
short_description: Update ClamAV's database and make the scanner load it
description:
  - Runs freshclam once, with its service stopped meanwhile, and tells its failures apart.
  - Makes the running scanner load the new database and asks it which one it has loaded.
options:
  required: {description: Whether a host without ClamAV is an error., type: bool, default: false}
  max_age_days: {description: Oldest database accepted, by its build date; 0 for any., type: int, default: 7}
  timeout: {description: Seconds for fetching and for loading., type: int, default: 600}
author: [Rawat contributors]
"""

DATABASES = Path("/var/lib/clamav")
# As Debian has it, and as Fedora's packages for the RHEL family (EPEL) do.
CLAMD_SETTINGS = next(
    (path for path in (Path("/etc/clamav/clamd.conf"), Path("/etc/clamd.d/scan.conf")) if path.exists()),
    Path("/etc/clamav/clamd.conf"),
)
FETCHER = "clamav-freshclam.service"
ONCE = "rawat-freshclam.service"
SCANNER = "clamd@scan.service" if "clamd.d" in CLAMD_SETTINGS.parts else "clamav-daemon.service"
ABSENT = (
    "no ClamAV on this host (no freshclam): nothing was updated, and nothing is known about its protection"
)
LOADED = re.compile(r"ClamAV [^/]+/(\d+)/")
MEANING = {
    7: "the mirror offers a damaged database (its signature does not fit); the one on disk was kept",
    11: "the mirror does not answer; the database on disk was kept",
}


class AntivirusError(Exception):
    """The antivirus is not up to date, or cannot be shown to be."""


def run(argv: list[str], timeout: float) -> tuple[int, str]:
    """Run a command and return its exit status and all it printed."""
    try:
        done = subprocess.run(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired as error:
        raise AntivirusError(f"{argv[0]} was not done after {timeout:.0f} s") from error
    return done.returncode, done.stdout.decode(errors="replace")


def database_on_disk() -> dict[str, str] | None:
    """Return version and build time of the daily database that lies on disk, its signature verified."""
    found = [path for path in (DATABASES / "daily.cld", DATABASES / "daily.cvd") if path.exists()]
    if not found:
        return None
    status, text = run(["sigtool", f"--info={found[0]}"], 60)
    pairs = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
    if status or "Verification OK" not in text or "Version" not in pairs:
        raise AntivirusError(f"the database on disk is damaged: {last_words(text)}")
    return {"version": pairs["Version"], "built": pairs.get("Build time", "")}


def settings() -> dict[str, str]:
    """Read the scanner's settings: one name and value per line."""
    lines = CLAMD_SETTINGS.read_text(encoding="utf-8", errors="replace").splitlines()
    pairs = (line.split(None, 1) for line in lines if line.strip() and not line.startswith("#"))
    return {pair[0]: pair[1].strip() for pair in pairs if len(pair) == len(("name", "value"))}


def ask_scanner(command: bytes) -> str | None:
    """Ask the running scanner itself: without one, ``clamdscan --version`` answers from disk."""
    if not CLAMD_SETTINGS.exists():
        return None
    found = settings()
    try:
        if "LocalSocket" in found:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.settimeout(30)
            connection.connect(found["LocalSocket"])
        else:
            address = (found.get("TCPAddr", "127.0.0.1"), int(found.get("TCPSocket", "3310")))
            connection = socket.create_connection(address, timeout=30)
        with connection:
            connection.sendall(b"z" + command + b"\0")
            reply = b""
            while not reply.endswith(b"\0") and (piece := connection.recv(4096)):
                reply += piece
            return reply.rstrip(b"\0").decode(errors="replace")
    except OSError:
        return None


def database_loaded() -> str | None:
    """Return the version the scanner works with, or nothing while no scanner answers."""
    match = LOADED.search(ask_scanner(b"VERSION") or "")
    return match.group(1) if match else None


def is_unit(question: str, unit: str) -> bool:
    """Ask systemd about a unit: ``is-active`` or ``is-enabled``."""
    return run(["systemctl", question, "--quiet", unit], 60)[0] == 0


def last_words(text: str) -> str:
    """Return the end of what a program said, on one line."""
    return " / ".join(line.strip() for line in text.splitlines()[-4:] if line.strip())[-500:]


def program(name: str) -> str:
    """Return where a program is: a unit looks for none."""
    found = shutil.which(name)
    if found is None:
        raise AntivirusError(f"there is no {name} on this host")
    return found


def fetch_once(timeout: float) -> tuple[int, str]:
    """Run freshclam once and return its exit status and all it printed.

    Two freshclams lock each other out, so the service is off meanwhile. systemd itself brings it back when
    this one ends: this module may be killed, and a fetching service that stays off is noticed by nobody.
    """
    again = []
    if is_unit("is-active", FETCHER):
        systemctl = program("systemctl")
        again = [f"--property=ExecStartPre={systemctl} stop {FETCHER}"]
        again += [f"--property=ExecStopPost={systemctl} start --no-block {FETCHER}"]
    unit = ["systemd-run", "--quiet", "--collect", "--wait", "--pipe", f"--unit={ONCE}"]
    try:
        return run([*unit, *again, program("freshclam"), "--stdout"], timeout)
    finally:
        run(["systemctl", "stop", ONCE], 120)
        if again:
            run(["systemctl", "start", FETCHER], 120)


def fetch(timeout: float) -> None:
    """Fetch the newest database once; what is on disk stays when that fails."""
    status, text = fetch_once(timeout)
    # Versions before 1.0 end with 1 when there is nothing newer.
    if status == 0 or (status == 1 and re.search(r"up[- ]to[- ]date", text)):
        return
    meaning = MEANING.get(status, "freshclam failed; the database on disk was kept")
    raise AntivirusError(f"{meaning} (freshclam ended with {status}): {last_words(text)}")


def load(version: str, deadline: float) -> None:
    """Make the scanner work with this version; a scanner that is not wanted on this host is left alone."""
    if database_loaded() is None:
        if not is_unit("is-enabled", SCANNER):
            return
        # The unit's own condition kept it off while there was no database.
        run(["systemctl", "start", SCANNER], max(1.0, deadline - time.monotonic()))
    elif database_loaded() != version:
        ask_scanner(b"RELOAD")
    while database_loaded() != version:
        if time.monotonic() > deadline:
            raise AntivirusError(
                f"the scanner works with database {database_loaded() or 'none'} although {version} is on disk"
            )
        time.sleep(0.5)


def require_young(database: dict[str, str], max_age_days: int) -> int:
    """Return the age of the database in days; too old is an error even when the mirror has no newer."""
    built = datetime.strptime(database["built"].strip(), "%d %b %Y %H:%M %z")
    age = int(time.time() - built.timestamp()) // 86400
    if max_age_days and age > max_age_days:
        raise AntivirusError(
            f"the newest database on the mirror is {age} days old, more than {max_age_days}: is it still fed?"
        )
    return age


def state_now() -> dict[str, str | None]:
    """Return the versions on disk and in the scanner; a damaged database is none."""
    try:
        on_disk = database_on_disk()
    except AntivirusError:
        on_disk = None
    return {"on_disk": on_disk["version"] if on_disk else None, "loaded": database_loaded()}


def update(params: dict[str, Any], evidence: dict[str, Any], *, check_mode: bool) -> None:
    """Fetch, load and judge the database, filling in the evidence."""
    begun = time.monotonic()
    evidence["before"] = before = state_now()
    evidence["after"] = before
    if check_mode:
        return
    try:
        fetch(params["timeout"])
        database = database_on_disk()
        if database is None:
            raise AntivirusError("freshclam succeeded, but there is no daily database on disk")
        load(database["version"], time.monotonic() + params["timeout"])
        evidence["age_days"] = require_young(database, params["max_age_days"])
    finally:
        evidence["after"] = state_now()
        evidence["changed"] = evidence["after"] != before
        evidence["seconds"] = round(time.monotonic() - begun, 2)


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "required": {"type": "bool", "default": False},
            "max_age_days": {"type": "int", "default": 7},
            "timeout": {"type": "int", "default": 600},
        },
        supports_check_mode=True,
    )
    nothing = {"on_disk": None, "loaded": None}
    evidence = {"product": None, "before": nothing, "after": nothing, "changed": False, "seconds": 0.0}
    if not shutil.which("freshclam"):
        if module.params["required"]:
            module.fail_json(msg="ClamAV is required on this host and not installed", evidence=evidence)
        module.exit_json(changed=False, evidence=evidence | {"reason": ABSENT})
    evidence["product"] = "ClamAV"
    # Whatever ends the module early, it waits until the fetching service is back.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(1))
    try:
        update(module.params, evidence, check_mode=module.check_mode)
    except (AntivirusError, OSError, ValueError) as error:
        module.fail_json(msg=str(error), changed=evidence["changed"], evidence=evidence)
    module.exit_json(changed=evidence["changed"], evidence=evidence)


if __name__ == "__main__":
    main()
