"""The controller's services of a lab: the file server, the append-only backup server and the mail server."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import socket
import sys
import time
from pathlib import Path

from lab import mail, processes, serve
from lab.errors import LabError
from lab.layout import (
    ANTIVIRUS_PORT,
    BACKUP_PORT,
    CACHE_ROOT,
    CHANNEL_PORT,
    DEBIAN_SECURITY,
    MIRROR_PORT,
    Lab,
)
from lab.mirror import find_mirror
from lab.processes import Unit
from lab.recipe import RELEASE

FILES, BACKUPS, MAIL = "files", "backups", "mail"
# Names of units, which share a folder with host names: no host may be called so.
UNITS = (FILES, BACKUPS, MAIL)


def places(lab: Lab) -> dict[str, tuple[str, int]]:
    """Return the services of a lab with the address and port on which they listen."""
    ports = {"channel": CHANNEL_PORT, "antivirus": ANTIVIRUS_PORT, "backup": BACKUP_PORT}
    ports |= {"debian": MIRROR_PORT} if lab.profile == DEBIAN_SECURITY else {}
    own = {name: (lab.controller, port) for name, port in ports.items()}
    return own | {MAIL: (mail.ADDRESS, lab.mail_port)}


def start(lab: Lab) -> None:
    """Start the services and wait until each listens."""
    for name in UNITS:
        (lab.state / "services" / name).mkdir(parents=True, exist_ok=True)
    settings = lab.state / "services" / FILES / "settings.json"
    settings.write_text(json.dumps(file_settings(lab)), encoding="utf-8")
    for name, command in (
        (FILES, [sys.executable, "-I", serve.__file__, str(settings)]),
        (BACKUPS, backup_command(lab)),
        (MAIL, mail.command(lab)),
    ):
        folder = lab.state / "services" / name
        processes.start_unit(Unit(lab.name, name), command, folder, always=True)
    for name, place in places(lab).items():
        wait_for_service(lab, name, place)


def file_settings(lab: Lab) -> dict[str, object]:
    """Return what the file server is told to serve."""
    upstreams = {}
    if lab.profile == DEBIAN_SECURITY:
        upstreams = {
            "main": find_mirror(RELEASE).address,
            "security": find_mirror(f"{RELEASE}-security").address,
        }
    return {
        "address": lab.controller,
        "folders": {
            CHANNEL_PORT: str(lab.channel / "www"),
            ANTIVIRUS_PORT: str(lab.state / "antivirus"),
        },
        "upstreams": upstreams,
        "mirror_port": MIRROR_PORT,
        "cache": str(CACHE_ROOT / "debian"),
    }


def backup_command(lab: Lab) -> list[str]:
    """Return the command of the backup server: each host may add to its own repository only."""
    return [
        "/usr/bin/env",
        "RCLONE_CONFIG=/dev/null",
        # Debian's own: a newer one of the campaigns may stand on the path.
        "/usr/bin/rclone",
        "serve",
        "restic",
        f"--addr={lab.controller}:{BACKUP_PORT}",
        "--append-only",
        "--private-repos",
        # With its cache of names rclone does not notice a file that has vanished.
        "--cache-objects=false",
        f"--htpasswd={lab.state / 'services' / BACKUPS / 'htpasswd'}",
        str(lab.state / "backups"),
    ]


def make_passwords(lab: Lab) -> dict[str, str]:
    """Return a new password per host, known to the backup server by its digest."""
    passwords = {plan.name: secrets.token_hex(24) for plan in lab.hosts}
    folder = lab.state / "services" / BACKUPS
    folder.mkdir(parents=True, mode=0o700)
    (lab.state / "backups").mkdir(mode=0o700)
    lines = (f"{name}:{{SHA}}{digest(word)}\n" for name, word in passwords.items())
    write_secret(folder / "htpasswd", "".join(lines))
    return passwords


def digest(password: str) -> str:
    """Return a password's digest in htpasswd's {SHA} form, strong enough for one that is random."""
    return base64.b64encode(hashlib.sha1(password.encode(), usedforsecurity=False).digest()).decode()


def write_secret(file: Path, text: str) -> None:
    """Write a file that only its owner can read, from its first byte on."""
    file.unlink(missing_ok=True)
    file.touch(mode=0o600, exist_ok=False)
    file.write_text(text, encoding="utf-8")


def is_listening(place: tuple[str, int]) -> bool:
    """Tell whether a service takes connections at its address and port."""
    try:
        socket.create_connection(place, timeout=1).close()
    except OSError:
        return False
    return True


def wait_for_service(lab: Lab, name: str, place: tuple[str, int]) -> None:
    """Wait until a service listens. Raises LabError when it does not within 20 seconds."""
    deadline = time.monotonic() + 20
    while not is_listening(place):
        if time.monotonic() > deadline:
            raise LabError(
                f"the {name} service does not listen on {place[0]}:{place[1]}",
                f"see {lab.state / 'services'}/*/log",
            )
        time.sleep(0.05)
