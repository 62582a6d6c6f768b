"""A router's end of RouterOS' API, with rows as a test wants them: no RouterOS could be had for the tests.

It speaks the words of the protocol (https://help.mikrotik.com/docs/display/ROS/API) to the real client.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from office_services import put
from testinfra.host import Host

Rows = Mapping[str, list[dict[str, str]]]
USER, PASSWORD = "pantau", "kata-sandi-router"
EXPORT = """\
# 2026-11-21 10:00:00 by RouterOS 7.15.3
# software id = AAAA-BBBB
/interface bridge
add name=bridge1
/ip address
add address=192.168.88.1/24 interface=bridge1
"""
SECRETS = """\
/ppp secret
add name=kantor password=kata-sandi-ppp
"""
VERSION, VERSION_6 = "7.15.3 (stable)", "6.49.17 (long-term)"
SHELL = """\
#!/bin/sh
# sshd calls it as -c COMMAND. What is hidden by itself differs, and neither version takes the other's word:
# https://help.mikrotik.com/docs/display/ROS/Configuration+Management
here=$(dirname "$0")
end='; :put "# rawat: end of the export"'
case $(cat "$here/version") in
  6.*) hidden='/export hide-sensitive' shown='/export' ;;
  *) hidden='/export' shown='/export show-sensitive' ;;
esac
case $2 in
  ':put [/system resource get version]') sed 's/$/\\r/' "$here/version"; exit ;;
  "$hidden$end") sed 's/$/\\r/' "$here/export" ;;
  "$shown$end") sed 's/$/\\r/' "$here/export" "$here/secrets" ;;
  /export*) echo 'expected end of command (line 1 column 9)'; exit 1 ;;
  *) echo "bad command name: $2"; exit 1 ;;
esac
[ -e "$here/cut" ] || printf '# rawat: end of the export\\r\\n'
"""
ROWS: Rows = {
    "/system/resource/print": [
        {
            "uptime": "3w2d5h10m4s",
            "version": "7.15.3 (stable)",
            "cpu-load": "7",
            "free-memory": "180000000",
            "total-memory": "268435456",
            "free-hdd-space": "90000000",
            "total-hdd-space": "134217728",
            "board-name": "hEX S",
        }
    ],
    "/system/identity/print": [{"name": "router-kantor"}],
    "/system/routerboard/print": [
        {"routerboard": "true", "current-firmware": "7.15.3", "upgrade-firmware": "7.15.3"}
    ],
    "/system/package/update/print": [
        {"channel": "stable", "installed-version": "7.15.3", "latest-version": "7.15.3"}
    ],
    "/system/health/print": [{"name": "temperature", "value": "41", "type": "C"}],
}


def with_row(menu: str, **changed: str) -> Rows:
    """Return the usual rows with other words in one of them; `_` stands for `-`."""
    words = {key.replace("_", "-"): value for key, value in changed.items()}
    return {**ROWS, menu: [ROWS[menu][0] | words]}


def encoded(*words: str) -> bytes:
    """Return a sentence of the protocol."""
    return b"".join(_length(len(raw := word.encode())) + raw for word in words) + b"\x00"


def _length(size: int) -> bytes:
    return bytes([size]) if size < 0x80 else (size | 0x8000).to_bytes(2, "big")


def _read(peer: socket.socket, size: int) -> bytes:
    got = b""
    while len(got) < size:
        piece = peer.recv(size - len(got))
        if not piece:
            raise ConnectionError
        got += piece
    return got


def sentence(peer: socket.socket) -> list[str]:
    """Return the words of the next sentence."""
    words = []
    while True:
        size = _read(peer, 1)[0]
        if size >= 0x80:
            size = ((size & 0x3F) << 8) | _read(peer, 1)[0]
        if not size:
            return words
        words.append(_read(peer, size).decode())


class Router:
    """What the router was told, and what it answers."""

    def __init__(self, rows: Rows, answer: Callable[[socket.socket], None] | None = None) -> None:
        self.rows = rows
        self.answer = answer
        self.heard: list[str] = []
        self.port = 0

    def talk(self, peer: Any) -> None:  # noqa: ANN401 - a socket, plain or not
        """Answer until the client goes."""
        if self.answer:
            sentence(peer)
            self.answer(peer)
            return
        while True:
            words = sentence(peer)
            self.heard += words
            command, said = words[0], set(words[1:])
            if command == "/login":
                if {f"=name={USER}", f"=password={PASSWORD}"} <= said:
                    peer.sendall(encoded("!done"))
                else:
                    peer.sendall(encoded("!trap", "=message=invalid user name or password (6)"))
                    peer.sendall(encoded("!done"))
            elif command in self.rows:
                for row in self.rows[command]:
                    peer.sendall(encoded("!re", *(f"={key}={value}" for key, value in row.items())))
                peer.sendall(encoded("!done"))
            else:
                peer.sendall(encoded("!trap", "=message=no such command prefix") + encoded("!done"))


@contextmanager
def router(
    rows: Rows = ROWS,
    *,
    tls: ssl.SSLContext | None = None,
    answer: Callable[[socket.socket], None] | None = None,
) -> Iterator[Router]:
    """Stand for a router on a port of the loopback while the block runs."""
    found = Router(rows, answer)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        found.port = listening.getsockname()[1]

        def serve() -> None:
            while True:
                try:
                    plain, _ = listening.accept()
                except OSError:
                    return
                try:
                    with tls.wrap_socket(plain, server_side=True) if tls else plain as peer:
                        found.talk(peer)
                except OSError:
                    pass  # The client went away, or did not like the certificate.

        threading.Thread(target=serve, daemon=True).start()
        try:
            yield found
        finally:
            listening.shutdown(socket.SHUT_RDWR)


def shell_files(version: str = VERSION) -> dict[str, str]:
    """Return the files of a shell that answers as RouterOS of a version does, by their names."""
    export = EXPORT.replace("RouterOS 7.15.3", f"RouterOS {version.partition(' ')[0]}")
    if version.startswith("6."):
        export = export.replace("2026-11-21", "nov/21/2026")
    return {"version": f"{version}\n", "export": export, "secrets": SECRETS, "shell": SHELL}


def answer_over_ssh(host: Host, version: str = VERSION) -> None:
    """Let a lab host take a user ``router`` in whose shell answers as RouterOS does."""
    for name, text in shell_files(version).items():
        put(host, f"/srv/router/{name}", text)
    host.check_output(
        "sh -c 'chmod 755 /srv/router/shell; rm -f /srv/router/cut;"
        " id router || useradd -m -s /srv/router/shell router;"
        " mkdir -p ~router/.ssh; cp ~/.ssh/authorized_keys ~router/.ssh/; chown -R router: ~router/.ssh'"
    )
