"""Where a host is reached: what makes two names one host (docs/adr/0020-who-holds-a-host.md). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from ipaddress import ip_address
from typing import Any

_SSH_PORT = 22


def addresses_of(hosts: Iterable[str], variables: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return ``address:port`` of the hosts that the inventory gives an address."""
    own = {host: variables.get(host, {}) for host in hosts}
    return {host: address_of(host, said) for host, said in own.items() if _gives_address(said)}


def address_of(host: str, variables: Mapping[str, Any]) -> str:
    """Return where Ansible reaches a host, as ``address:port``; the name itself where no address is given.

    One address is written in many ways: letter case, a final dot, the forms of IPv6. A template that only
    Ansible could fill in tells nothing, and the name stands for the host.
    """
    given = str(_first(variables, "ansible_host", "ansible_ssh_host") or host)
    port = str(_first(variables, "ansible_port", "ansible_ssh_port") or _SSH_PORT)
    address = (host if "{{" in given else given).strip().rstrip(".").lower()
    with suppress(ValueError):  # a name
        address = str(ip_address(address.strip("[]")))
    return f"{address}:{_SSH_PORT if '{{' in port else port}"


def _gives_address(variables: Mapping[str, Any]) -> bool:
    given = _first(variables, "ansible_host", "ansible_ssh_host")
    return bool(given) and "{{" not in str(given)


def _first(variables: Mapping[str, Any], *names: str) -> object:
    return next((variables[name] for name in names if variables.get(name)), None)
