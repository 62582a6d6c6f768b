#!/usr/bin/python
"""Ansible module: asks a RouterBOARD how it is over RouterOS' own API, by librouteros. Changes nothing.

Rules kept here: the router shows a certificate that is trusted, or whose digest the office wrote down, before
it is told the password; one deadline stands over all questions; of what it says only so much is read.
"""

from __future__ import annotations

import hashlib
import itertools
import re
import socket
import ssl
from typing import Any

import librouteros
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.peers import deadline, number, printable, why_not
from librouteros.exceptions import ConnectionClosed, LibRouterosError, TrapError

DOCUMENTATION = """
module: check_routerboard
short_description: Ask a RouterBOARD how it is
options:
  address: {type: str, required: true, description: Address of the router}
  port: {type: int, default: 0, description: Port of its API, 8729 with TLS or 8728 without when 0}
  user: {type: str, required: true, description: A user of the router that may read}
  password: {type: str, required: true, description: Password of that user}
  tls: {type: bool, default: true, description: Whether the API is spoken to over TLS}
  ca_file: {type: str, default: "", description: Authorities that are trusted, the system's when empty}
  certificate_sha256: {type: str, default: "", description: Digest of the router's certificate}
  look_for_updates: {type: bool, default: false, description: Whether it asks its maker for news first}
  timeout: {type: int, default: 30, description: Seconds for all questions together}
author: Rawat
"""
EXAMPLES = """
- name: Ask the router
  check_routerboard: {address: 192.0.2.1, user: pantau, password: "{{ vault_router }}"}
"""
RETURN = """
facts: {type: dict, returned: always, description: What was measured}
"""

_PORTS = {True: 8729, False: 8728}
_MOST_BYTES = 1_000_000
_MOST_ROWS = 100
_SPANS = {"w": 604_800, "d": 86_400, "h": 3600, "m": 60, "s": 1}


class NotTrustedError(Exception):
    """The router showed another certificate than the office wrote down."""


class CappedSocket:
    """A connection from which only so much is read."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._left = _MOST_BYTES

    def recv(self, size: int) -> bytes:
        """Return some bytes. Raises ConnectionError when there were too many."""
        if self._left <= 0:
            raise ConnectionError("the router says too much")
        got = self._connection.recv(min(size, 65_536))
        self._left -= len(got)
        return got

    def sendall(self, data: bytes) -> None:
        """Send bytes."""
        self._connection.sendall(data)

    def close(self) -> None:
        """End the connection."""
        self._connection.close()


def measure(wanted: dict[str, Any]) -> dict[str, Any]:
    """Return the facts of a router."""
    facts: dict[str, Any] = {"address": wanted["address"]}
    try:
        with deadline(wanted["timeout"]):
            return {**facts, "outcome": "answered", **ask(wanted)}
    except TrapError as error:
        is_login = "user name or password" in error.message or "log in" in error.message
        return {
            **facts,
            "outcome": "login" if is_login else "not understood",
            "error": printable(error.message),
        }
    except (ssl.SSLCertVerificationError, NotTrustedError) as error:
        return {**facts, "outcome": "not trusted", "error": printable(error)}
    except ConnectionClosed as error:
        return {**facts, "outcome": "cut off", "error": printable(error)}
    except (LibRouterosError, OSError, ValueError, KeyError, TypeError) as error:
        return {**facts, "outcome": why_not(error), "error": printable(error)}


def ask(wanted: dict[str, Any]) -> dict[str, Any]:
    """Ask all questions over one connection."""
    api = librouteros.connect(
        wanted["address"],
        wanted["user"],
        wanted["password"],
        port=wanted["port"] or _PORTS[wanted["tls"]],
        timeout=wanted["timeout"],
        ssl_wrapper=lambda plain: CappedSocket(secured(wanted, plain)),
        # Every byte has a letter; what was meant is made of it afterwards.
        encoding="latin-1",
    )
    try:
        if wanted["look_for_updates"]:
            list(itertools.islice(api("/system/package/update/check-for-updates"), _MOST_ROWS))
        said = {
            name: rows(api, name)
            for name in ("resource", "identity", "routerboard", "package/update", "health")
        }
    finally:
        api.close()
    resource, board = said["resource"][0], first(said["routerboard"])
    update = first(said["package/update"])
    return {
        "name": text(first(said["identity"]).get("name", "")),
        "board": text(resource.get("board-name", "")),
        "version": text(resource["version"]),
        "uptime_seconds": seconds_of(str(resource.get("uptime", ""))),
        "cpu_percent": number(resource.get("cpu-load")),
        "memory": used(resource, "memory"),
        "disk": used(resource, "hdd-space"),
        "update": {
            "channel": text(update.get("channel", "")),
            "installed": text(update.get("installed-version", "")),
            "latest": text(update.get("latest-version", "")),
            "status": text(update.get("status", "")),
        },
        "firmware": {
            "current": text(board.get("current-firmware", "")),
            "upgrade": text(board.get("upgrade-firmware", "")),
        },
        "health": health_of(said["health"]),
    }


def secured(wanted: dict[str, Any], plain: socket.socket) -> socket.socket:
    """Return the connection encrypted, once the router has shown who it is; as it is without TLS."""
    if not wanted["tls"]:
        return plain
    context = ssl.create_default_context(cafile=wanted["ca_file"] or None)
    digest = re.sub(r"[^0-9a-f]", "", wanted["certificate_sha256"].lower())
    if digest:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    safe = context.wrap_socket(plain, server_hostname=wanted["address"])
    shown = hashlib.sha256(safe.getpeercert(binary_form=True) or b"").hexdigest()
    if digest and shown != digest:
        safe.close()
        raise NotTrustedError(f"it showed the certificate {shown}")
    return safe


def rows(api: librouteros.api.Api, name: str) -> list[dict[str, Any]]:
    """Return what a menu prints; nothing where this router has no such menu."""
    try:
        return list(itertools.islice(api(f"/system/{name}/print"), _MOST_ROWS))
    except TrapError:
        if name in {"resource", "identity"}:
            raise
        return []


def first(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the only row of a menu that has one."""
    return found[0] if found else {}


def text(value: object) -> str:
    """Return what the router said as text; its letters came one byte each."""
    return printable(str(value).encode("latin-1", "replace"))


def used(resource: dict[str, Any], kind: str) -> dict[str, int] | None:
    """Return how many bytes there are of memory or disk, and how many are free."""
    free, total = number(resource.get(f"free-{kind}")), number(resource.get(f"total-{kind}"))
    return {"free": free, "total": total} if free is not None and total else None


def health_of(found: list[dict[str, Any]]) -> dict[str, float]:
    """Return temperatures and voltages: RouterOS 7 has a row for each, 6 one row of all."""
    pairs = [(row.get("name"), row.get("value")) for row in found if "name" in row]
    pairs = pairs or [pair for row in found for pair in row.items()]
    told = {}
    for name, value in pairs[:_MOST_ROWS]:
        if re.fullmatch(r"-?\d{1,6}(\.\d{1,3})?", str(value)):
            told[text(name)] = float(str(value))
    return told


def seconds_of(span: str) -> int | None:
    """Return seconds of a span as RouterOS writes it: ``3w2d5h10m4s``."""
    parts = re.findall(r"(\d{1,6})([wdhms])", span)
    return sum(int(count) * _SPANS[unit] for count, unit in parts) if parts else None


def main() -> None:
    """Measure and leave."""
    module = AnsibleModule(
        argument_spec={
            "address": {"type": "str", "required": True},
            "port": {"type": "int", "default": 0},
            "user": {"type": "str", "required": True},
            "password": {"type": "str", "required": True, "no_log": True},
            "tls": {"type": "bool", "default": True},
            "ca_file": {"type": "str", "default": ""},
            "certificate_sha256": {"type": "str", "default": ""},
            "look_for_updates": {"type": "bool", "default": False},
            "timeout": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    if not wanted["user"]:
        module.fail_json(msg="the router has to be asked as somebody: set check_routerboard_user")
    try:
        ssl.create_default_context(cafile=wanted["ca_file"] or None)
    except (OSError, ssl.SSLError) as error:
        module.fail_json(msg=f"the authorities in {wanted['ca_file']} cannot be read: {error}")
    module.exit_json(changed=False, facts=measure(wanted))


if __name__ == "__main__":
    main()
