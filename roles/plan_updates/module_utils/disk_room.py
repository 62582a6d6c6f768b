"""How much room an update needs and finds on the disks it writes to."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path


def free_bytes(places: Iterable[str]) -> int:
    """Return the room left where it is shortest of the places an update writes to."""
    return min(shutil.disk_usage(place).free for place in places)


def room_of_kernels(count: int, boot: Path = Path("/boot")) -> dict[str, int]:
    """Return the room needed in /boot by kernels that come beside the old ones; nothing where none comes."""
    return {str(boot): count * kernel_bytes(boot)} if count and boot.is_dir() else {}


def kernel_bytes(boot: Path) -> int:
    """Return what one more kernel takes in /boot: as much as the largest of those that are there."""
    releases = {path.name.partition("-")[2] for path in boot.glob("vmlinuz-*")}
    sizes = [
        sum(path.stat().st_size for path in boot.iterdir() if path.is_file() and path.name.endswith(release))
        for release in releases
    ]
    return max(sizes, default=0)


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
