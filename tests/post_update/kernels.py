"""Which kernel a host has to run once it was restarted after an update that brought it one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

_DEBIAN = re.compile(r"linux-image-(?:unsigned-)?(?P<release>\d.*)")
_REDHAT = re.compile(r"kernel(?:-rt|-uek)?-core(?:\.(?P<arch>\w+))?")
# What tells kernels for other machines or loads apart: "-amd64", "-cloud-amd64", "-generic", ".el9_4.x86_64".
_FLAVOUR = re.compile(r"[-+.][A-Za-z][A-Za-z0-9_+-]*(?:[-.][A-Za-z][A-Za-z0-9_+-]*)*$")


def planned_releases(updates: Iterable[Mapping[str, str]]) -> list[str]:
    """Return the kernels an update brings under a name of their own, as `uname -r` would tell them."""
    found = []
    for update in updates:
        if debian := _DEBIAN.fullmatch(update["package"]):
            # Under the same name as before it is told by the restart alone.
            found += [] if update["from"] else [debian["release"]]
        elif _REDHAT.fullmatch(update["package"]):
            found.append(update["to"].rpartition(":")[2])
    return found


def is_one_of(running: str, releases: Sequence[str]) -> bool:
    """Tell whether the running kernel is a planned one; on the RHEL family the architecture follows it."""
    return running in releases or running.rpartition(".")[0] in releases


def of_its_flavour(running: str, releases: Iterable[str]) -> list[str]:
    """Return the planned kernels that could take the place of the running one."""
    return [release for release in releases if flavour(release) == flavour(running)]


def flavour(release: str) -> str:
    """Return what a kernel is for, "" when its name does not say."""
    # Debian 13 names its own release in it, the RHEL family its minor one.
    plain = re.sub(r"\+deb\d+(u\d+)?|\.el\d+(_\d+)?|\.fc\d+|\.(x86_64|aarch64|ppc64le|s390x)$", "", release)
    match = _FLAVOUR.search(plain)
    return match.group() if match else ""
