"""Which hosts are changed together, and in what order. Pure rules.

1. The canaries come first; then the SOP's named groups, in its order; then the rest. A host belongs to the
   first of these that names it, and a wave never holds hosts of two of them.
2. Within each of them the hosts that are owed from earlier runs come first, then natural order: 2 before 10.
3. A wave holds at most ``size`` hosts. The canaries are one wave, however many they are.
4. A wave holds at most one member of each cluster, so that a cluster never loses two members at once.
   A host that must give way for this goes into the next wave that can take it; the hosts after it move up.
5. A host that had to give way because another member of its cluster is down comes after all the others, so
   that nobody is left out with it.
6. The machine that runs Rawat comes last of all and alone, whatever groups it is in.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

CLUSTER = "cluster_"
"""Inventory groups whose names begin so are clusters."""

BUDGET = re.compile(r"^([0-9]{1,6}|[0-9]{1,2}%|100%)$")
"""A failure budget as it is given: a number of hosts, or a share of the planned ones."""

Groups = Mapping[str, Collection[str]]


@dataclass(frozen=True)
class Order:
    """What a SOP and a run say about the order of hosts."""

    first: str
    """The inventory group of the canaries."""
    then: tuple[str, ...] = ()
    size: int = 10
    owed: frozenset[str] = field(default=frozenset())
    controllers: frozenset[str] = field(default=frozenset())
    down: frozenset[str] = field(default=frozenset())
    """Hosts that are not known to be up, planned or not."""


def divide_into_waves(hosts: Iterable[str], groups: Groups, order: Order) -> tuple[tuple[str, ...], ...]:
    """Return the waves of ``hosts``, each host in exactly one of them."""
    rest = sorted(set(hosts), key=lambda host: (host not in order.owed, natural_key(host), host))
    last = [host for host in rest if host in order.controllers]
    rest = [host for host in rest if host not in order.controllers]
    clusters = clusters_of(groups)
    giving_way = [host for host in rest if members_down(host, groups, order.down)]
    rest = [host for host in rest if host not in giving_way]
    waves: list[tuple[str, ...]] = []
    for number, name in enumerate((order.first, *order.then)):
        members = set(groups.get(name, ()))
        own = [host for host in rest if host in members]
        rest = [host for host in rest if host not in members]
        waves += _waves(own, clusters, len(own) if number == 0 else order.size)
    waves += _waves(rest, clusters, order.size)
    waves += _waves(giving_way, clusters, order.size)
    return (*waves, *((host,) for host in last))


def clusters_of(groups: Groups) -> dict[str, frozenset[str]]:
    """Return for each host that is in a cluster the names of its clusters."""
    found: dict[str, set[str]] = {}
    for name, members in groups.items():
        if name.startswith(CLUSTER):
            for host in members:
                found.setdefault(host, set()).add(name)
    return {host: frozenset(names) for host, names in found.items()}


def members_down(host: str, groups: Groups, down: Collection[str]) -> tuple[str, ...]:
    """Return which of ``down`` are in a cluster together with the host, in natural order."""
    mine = [members for name, members in groups.items() if name.startswith(CLUSTER) and host in members]
    return in_natural_order(other for members in mine for other in members if other in down and other != host)


def _waves(
    hosts: Iterable[str], clusters: Mapping[str, frozenset[str]], size: int
) -> Iterator[tuple[str, ...]]:
    waves: list[list[str]] = []
    taken: list[set[str]] = []
    for host in hosts:
        mine = clusters.get(host, frozenset())
        for number, wave in enumerate(waves):
            if len(wave) < size and not taken[number] & mine:
                wave.append(host)
                taken[number] |= mine
                break
        else:
            waves.append([host])
            taken.append(set(mine))
    return (tuple(wave) for wave in waves)


def hosts_that_may_fail(budget: str, planned: int) -> int:
    """Return the failure budget as a number; a share of the ``planned`` hosts is rounded down."""
    share = budget.removesuffix("%")
    return int(share) if share == budget else int(share) * planned // 100


def in_natural_order(hosts: Iterable[str]) -> tuple[str, ...]:
    """Return host names with ``pc2`` before ``pc10``."""
    return tuple(sorted(set(hosts), key=lambda host: (natural_key(host), host)))


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Return a sort key in which runs of digits compare as numbers."""
    pieces = re.findall(r"\d+|\D+", name)
    return [(0, int(piece), "") if piece.isdecimal() else (1, 0, piece) for piece in pieces]
