"""What an inventory names: computers, and the services around them, each kind a group of its own. Pure.

A host that is in none of these groups is a computer. What is both, such as a database server, stands in the
inventory twice: the computer under one name, its service under another.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Literal

Kind = Literal["computer", "website", "database", "printer", "network_device", "routerboard", "internet_link"]

SERVICES: Mapping[str, Kind] = {
    "websites": "website",
    "databases": "database",
    "printers": "printer",
    "network_devices": "network_device",
    "routerboards": "routerboard",
    "internet_links": "internet_link",
}
"""Inventory group -> kind of the hosts in it."""

Groups = Mapping[str, Collection[str]]


def kinds_of(host: str, groups: Groups) -> tuple[Kind, ...]:
    """Return what the groups say that a host is: one kind, unless the inventory contradicts itself."""
    return tuple(kind for group, kind in SERVICES.items() if host in groups.get(group, ())) or ("computer",)


def computers(hosts: Iterable[str], groups: Groups) -> tuple[str, ...]:
    """Return the hosts that are computers, in the order given."""
    services = {host for group in SERVICES for host in groups.get(group, ())}
    return tuple(host for host in hosts if host not in services)


def with_data(hosts: Iterable[str], groups: Groups) -> tuple[str, ...]:
    """Return the hosts that keep something which can be backed up: computers and RouterBOARDs, as given."""
    return tuple(host for host in hosts if {"computer", "routerboard"} & set(kinds_of(host, groups)))
