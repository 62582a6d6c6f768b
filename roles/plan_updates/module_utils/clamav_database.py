"""Which ClamAV signature database a host has on disk and has loaded; the standard library alone.

Both are asked for apart, and so is what the mirror offers (clamav_mirror): they differ until freshclam has
fetched and clamd has reloaded.
"""

from __future__ import annotations

import calendar
import re
import socket
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

CLAMD_CONF = Path("/etc/clamav/clamd.conf")
FRESHCLAM_CONF = Path("/etc/clamav/freshclam.conf")
# As Debian has them, and as Fedora's packages for the RHEL family (EPEL) do.
CLAMD_CONFS = (CLAMD_CONF, Path("/etc/clamd.d/scan.conf"))
FRESHCLAM_CONFS = (FRESHCLAM_CONF, Path("/etc/freshclam.conf"))
HEADER_BYTES = 512
DATABASE = "daily"
_DEFAULT_DIRECTORY = "/var/lib/clamav"
_DEFAULT_SOCKET = "/var/run/clamav/clamd.ctl"
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1", "localhost": "127.0.0.1"}  # noqa: S104 - read, not bound


def parse_header(header: bytes) -> str | None:
    """Return the version out of a database header (`ClamAV-VDB:date:version:...`), None when it is none."""
    # The build time has a dash for its colon ("22 Jun 2021 21-34 -0400"): the third field is the version.
    match = re.match(rb"ClamAV-VDB:[^:]*:\s*(\d+)\s*:", header[:HEADER_BYTES])
    return match.group(1).decode("ascii") if match else None


def parse_configuration(text: str) -> dict[str, list[str]]:
    """Read a ClamAV configuration file: a keyword and its value on each line, keywords may repeat."""
    settings: dict[str, list[str]] = {}
    for line in text.splitlines():
        keyword, _, value = line.strip().partition(" ")
        if keyword and not keyword.startswith("#"):
            settings.setdefault(keyword, []).append(value.strip().strip('"'))
    return settings


def read_configuration(path: Path) -> dict[str, list[str]]:
    """Return the settings of the file, none when it does not exist."""
    return parse_configuration(path.read_text(encoding="utf-8", errors="replace")) if path.exists() else {}


def read_first(paths: Iterable[Path]) -> dict[str, list[str]]:
    """Return the settings of the first of the files that exists, none when no one does."""
    found = next((path for path in paths if path.exists()), None)
    return read_configuration(found) if found else {}


def version_on_disk(settings: Mapping[str, list[str]]) -> str | None:
    """Return the newest version of the database on disk, whole (cvd) or grown by differences (cld)."""
    return newest(header for header in map(parse_header, _headers_on_disk(settings)) if header)


def built_on_disk(settings: Mapping[str, list[str]]) -> float | None:
    """Return when the newest database on disk was built, in seconds since 1970."""
    return max((built for built in map(parse_built, _headers_on_disk(settings)) if built), default=None)


def parse_built(header: bytes) -> float | None:
    """Return when a database was built, in seconds since 1970; None when its header does not say."""
    match = re.match(rb"ClamAV-VDB:(\d\d \w{3} \d{4} \d\d)-(\d\d) ([+-])(\d\d)(\d\d):", header[:HEADER_BYTES])
    if match is None:
        return None
    day, minute, sign, hours, minutes = (part.decode("ascii") for part in match.groups())
    try:
        local = calendar.timegm(time.strptime(f"{day} {minute}", "%d %b %Y %H %M"))
    except ValueError:
        return None
    ahead = (int(hours) * 60 + int(minutes)) * 60
    return float(local - ahead if sign == "+" else local + ahead)


def _headers_on_disk(settings: Mapping[str, list[str]]) -> list[bytes]:
    directory = Path((settings.get("DatabaseDirectory") or [_DEFAULT_DIRECTORY])[0])
    files = [directory / f"{DATABASE}{ending}" for ending in (".cvd", ".cld")]
    return [_read_head(path) for path in files if path.exists()]


def newest(versions: Iterable[str]) -> str | None:
    """Return the highest version number, None of none."""
    return max(versions, key=int, default=None)


def parse_daemon_version(answer: str) -> tuple[str, str | None]:
    """Split `ClamAV 1.4.3/6/Wed Jun 23 ...` into engine and database version; the database may be missing."""
    match = re.match(r"ClamAV (\S+?)(?:/(\d+)/.*)?$", answer.strip("\0\n "))
    return (match.group(1), match.group(2)) if match else ("", None)


def listening_at(settings: Mapping[str, list[str]]) -> list[str | tuple[str, int]]:
    """Return where clamd can be asked on this host: paths of its socket, and addresses of the loopback.

    Another address that it listens at may be another machine's by now: it is not asked.
    """
    found: list[str | tuple[str, int]] = [*settings.get("LocalSocket", ())]
    ports = settings.get("TCPSocket", [])
    if not found and not ports:
        return [_DEFAULT_SOCKET]
    for address in settings.get("TCPAddr") or ["0.0.0.0"]:  # noqa: S104 - what clamd does without any
        own = _LOOPBACK.get(address, address)
        if own == "::1" or own.startswith("127."):
            found += [(own, int(port)) for port in ports if port.isdigit()]
    return found


def connected(address: str | tuple[str, int], timeout: float) -> socket.socket:
    """Return a connection to a socket's path, or to an address and port."""
    if not isinstance(address, str):
        return socket.create_connection(address, timeout)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(timeout)
    try:
        connection.connect(address)
    except OSError:
        connection.close()
        raise
    return connection


def ask_daemon(settings: Mapping[str, list[str]], timeout: float = 10) -> tuple[str, str | None]:
    """Return engine and database version of the running clamd, empty when it does not answer.

    `clamdscan --version` is not asked: when clamd is down it answers with what lies on disk.
    """
    for address in listening_at(settings):
        try:
            with connected(address, timeout) as connection:
                connection.sendall(b"zVERSION\0")
                answer = connection.recv(1024)
        except (OSError, OverflowError):  # the latter for a port that there cannot be
            continue
        return parse_daemon_version(answer.decode("utf-8", "replace"))
    return "", None


def _read_head(path: Path) -> bytes:
    with path.open("rb") as database:
        return database.read(HEADER_BYTES)
