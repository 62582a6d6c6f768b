"""The machine that Rawat runs on: which hosts of an inventory it is, and who works on it.

Told by the inventory alone, before anything is asked of a host: its connection is ``local``, or ssh goes
without a detour to port 22 of an address of this machine. A host that is told so wrongly, as where a port of
this machine is forwarded, is only maintained last and alone: before a reboot the role compares boot ids.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from runner.endpoints import address_of

_SECONDS = 20
LOGIN = Path("/proc/self/loginuid")
_NOBODY_LOGGED_IN = 2**32 - 1
_SSH_ARGUMENTS = ("ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args")


def controllers_of(hosts: Iterable[str], variables: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the hosts, in their order, that are this machine."""
    own = {f"{address}:22" for address in own_addresses()}
    return tuple(host for host in hosts if _is_own(host, variables.get(host, {}), own))


def _is_own(host: str, said: Mapping[str, Any], own: set[str]) -> bool:
    if said.get("ansible_connection") == "local":
        return True
    detour = any("proxy" in str(said.get(name, "")).lower() for name in _SSH_ARGUMENTS)
    return not detour and address_of(host, said) in own


def account() -> str:
    """Return the account that this program runs under, and in brackets the one that somebody logged in with.

    The latter is told by the kernel, which keeps it through sudo and su; "" where nobody is known.
    """
    user = _name_of(os.geteuid())
    try:
        number = int(LOGIN.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return user
    login = "" if number == _NOBODY_LOGGED_IN else _name_of(number)
    return f"{user} ({login})" if login and login != user else user


def _name_of(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def own_addresses() -> set[str]:
    """Return the addresses and names of this machine; without the program ``ip`` only those it has anyway."""
    found = {"localhost", socket.gethostname().lower(), "127.0.0.1", "::1"}
    program = shutil.which("ip", path="/usr/sbin:/usr/bin:/sbin:/bin")
    if program is None:
        return found
    done = subprocess.run(
        [program, "-j", "address"],
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
    )
    devices = json.loads(done.stdout or "[]") if done.returncode == 0 else []
    told = [given["local"] for device in devices for given in device.get("addr_info", []) if "local" in given]
    return found | {str(ip_address(address)) for address in told}
