"""How much room an update needs and finds on the disks it writes to."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path


def free_bytes(places: Iterable[str]) -> int:
    """Return the room left where it is shortest of the places an update writes to."""
    return min(shutil.disk_usage(place).free for place in places)


def shortages(needed: dict[str, int], reserve: int) -> list[str]:
    """Return, in words, each disk on which the updates would leave less than the reserve."""
    disks: dict[int, list[str]] = {}
    for place in needed:
        disks.setdefault(Path(place).stat().st_dev, []).append(place)
    said = []
    for places in disks.values():
        wanted = sum(needed[place] for place in places) + reserve
        free = shutil.disk_usage(places[0]).free
        if free < wanted:
            said.append(f"{', '.join(places)}: {_megabytes(wanted)} needed, {_megabytes(free)} free")
    return said


def _megabytes(count: int) -> str:
    return f"{count / 1_000_000:.1f} MB"
