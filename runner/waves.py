"""Which hosts are changed together, and in what order. Pure rules."""

from __future__ import annotations

import re
from collections.abc import Iterable


def divide_into_waves(
    hosts: Iterable[str], canaries: Iterable[str], size: int
) -> tuple[tuple[str, ...], ...]:
    """Return the canaries among ``hosts`` as the first wave, then the rest by ``size``, naturally ordered."""
    ordered = in_natural_order(hosts)
    first = tuple(host for host in ordered if host in set(canaries))
    rest = [host for host in ordered if host not in first]
    waves = [tuple(rest[start : start + size]) for start in range(0, len(rest), size)]
    return tuple(([first] if first else []) + waves)


def in_natural_order(hosts: Iterable[str]) -> tuple[str, ...]:
    """Return host names with ``pc2`` before ``pc10``."""
    return tuple(sorted(set(hosts), key=natural_key))


def natural_key(name: str) -> list[tuple[int, int, str]]:
    """Return a sort key in which runs of digits compare as numbers."""
    pieces = re.findall(r"\d+|\D+", name)
    return [(0, int(piece), "") if piece.isdigit() else (1, 0, piece) for piece in pieces]
