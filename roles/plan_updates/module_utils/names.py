"""Asking a name server for records, by dnspython, which the controller has."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

import dns.exception
import dns.resolver
from ansible.module_utils.peers import PeerTimeout, deadline, printable

MOST_VALUES = 50
_ONE_QUESTION = 5
"""Seconds after which a name server is given up, however much longer there would be."""


def resolver_at(address: str, seconds: float) -> dns.resolver.Resolver:
    """Return a resolver that asks ``ADDRESS`` or ``ADDRESS:PORT``, the system's when that is empty.

    Raises:
        ValueError: when that is no address.
    """
    resolver = dns.resolver.Resolver(configure=not address)
    if address:
        host, port = _split(address)
        resolver.nameservers = [str(ipaddress.ip_address(host))]
        resolver.port = port
    resolver.lifetime = seconds
    resolver.timeout = seconds / 2
    return resolver


def _split(address: str) -> tuple[str, int]:
    if address.startswith("["):
        host, _, rest = address[1:].partition("]")
        return host, int(rest.lstrip(":") or 53)
    if address.count(":") == 1:
        host, _, port = address.partition(":")
        return host, int(port)
    return address, 53


def look_up(resolver: dns.resolver.Resolver, name: str, kind: str) -> dict[str, Any]:
    """Return values and status: `found`, `no such name`, `no such record`, `refused` or `no answer`."""
    try:
        answer = resolver.resolve(name, kind, search=False)
    except dns.resolver.NXDOMAIN:
        return {"status": "no such name", "values": []}
    except dns.resolver.NoAnswer:
        return {"status": "no such record", "values": []}
    except dns.resolver.NoNameservers:
        return {"status": "refused", "values": []}
    except (dns.exception.DNSException, OSError):
        return {"status": "no answer", "values": []}
    return {
        "status": "found",
        "values": sorted(normal(record.to_text()) for record in list(answer)[:MOST_VALUES]),
    }


def look_up_within(name: str, kinds: Sequence[str], address: str, seconds: float) -> dict[str, Any]:
    """Return what ``look_up`` says, of the first kind of which there is a record.

    Args:
        name: what is looked for.
        kinds: kinds of records, such as `A`, in the order in which they are asked for.
        address: of the name server, as ``resolver_at`` takes it.
        seconds: after which nothing is waited for any more: `no answer`.
    """
    said: dict[str, Any] = {"status": "no answer", "values": []}
    try:
        with deadline(seconds):
            for kind in kinds:
                said = look_up(resolver_at(address, min(seconds, _ONE_QUESTION)), name, kind)
                if said["status"] != "no such record":
                    break
    except PeerTimeout:
        return {"status": "no answer", "values": []}
    return said


def normal(value: str) -> str:
    """Return a record's value as it is compared: small letters, no dot at the end, single blanks."""
    return printable(value).lower().rstrip(".")
