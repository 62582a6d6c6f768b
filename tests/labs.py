"""A lab for the tests of one folder: its hosts, connections to them, and playbooks run on them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
import testinfra
from played import ROOT
from testinfra.host import Host

from lab import driver
from lab.layout import HERMETIC

PROGRAMS = Path(sys.executable).parent


@contextmanager
def raised(folder: Path, name: str, count: int, profile: str = HERMETIC) -> Iterator[Path]:
    """Bring hosts up, give their inventory, and take them down."""
    inventory = folder / "inventory"
    with pytest.MonkeyPatch.context() as patch:
        # testinfra looks for ansible's programs on the path.
        patch.setenv("PATH", str(PROGRAMS), prepend=os.pathsep)
        driver.up(driver.Wish(name=name, count=count, profile=profile, inventory=inventory))
        try:
            yield inventory
        finally:
            driver.down(name)


def connection(inventory: Path, name: str) -> Host:
    """Return a connection to a host, as Ansible reaches it."""
    return testinfra.get_host(f"ansible://{name}?ansible_inventory={inventory}")


def fresh(lab: str, inventory: Path, name: str) -> Host:
    """Put a host back to how it came up and return a connection to it."""
    driver.reset(lab, name)
    host = connection(inventory, name)
    # ssh answers before the last service is up; a database takes its time on a busy machine.
    assert host.run("timeout 60 systemctl is-system-running --wait").stdout.strip() == "running"
    return host


def command(
    playbook: str, limit: str, variables: Mapping[str, object], *inventories: Path, check: bool = False
) -> list[str]:
    """Return the command line of a playbook, for tests that start and cut it themselves, too."""
    extra = json.dumps({key: str(v) if isinstance(v, Path) else v for key, v in variables.items()})
    words = [str(PROGRAMS / "ansible-playbook")]
    for inventory in inventories:
        words += ["--inventory", str(inventory)]
    words += ["--limit", limit, "--extra-vars", extra, *(["--check"] if check else [])]
    return [*words, str(ROOT / "playbooks" / playbook)]
