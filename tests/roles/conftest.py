"""A lab of its own for the role tests, and a way to run a playbook on it and read what it published."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import testinfra
from played import LAB, ROOT, FreshHost, PlaybookCommand, Played, RunPlaybook, play
from testinfra.host import Host

from lab import driver

PROGRAMS = Path(sys.executable).parent
PLAYBOOK_SECONDS = 300


@pytest.fixture(scope="session")
def lab_inventory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Bring up five hosts for the session and take them down at its end."""
    inventory = tmp_path_factory.mktemp("lab") / "inventory"
    with pytest.MonkeyPatch.context() as patch:
        # testinfra looks for ansible's programs on the path.
        patch.setenv("PATH", str(PROGRAMS), prepend=os.pathsep)
        driver.up(driver.Wish(name=LAB, count=5, inventory=inventory))
        yield inventory
        driver.down(LAB)


@pytest.fixture(scope="session")
def playbook_command(lab_inventory: Path) -> PlaybookCommand:
    """Return a function that gives a playbook's command line, for tests that start and cut it themselves.

    Hosts are the lab's, or those of the file given as `inventory`.
    """

    def command(playbook: str, limit: str, **variables: object) -> list[str]:
        inventory = variables.pop("inventory", lab_inventory)
        extra = json.dumps({key: str(v) if isinstance(v, Path) else v for key, v in variables.items()})
        options = ["--inventory", str(inventory), "--limit", limit, "--extra-vars", extra]
        return [str(PROGRAMS / "ansible-playbook"), *options, str(ROOT / "playbooks" / playbook)]

    return command


@pytest.fixture
def run_playbook(playbook_command: PlaybookCommand, tmp_path: Path) -> RunPlaybook:
    """Return a function that runs a playbook and returns what it published."""

    def run(playbook: str, limit: str, *, check: bool = False, **variables: object) -> Played:
        command = [*playbook_command(playbook, limit, **variables), *(["--check"] if check else [])]
        return play(command, tmp_path / "channel.jsonl", seconds=PLAYBOOK_SECONDS)

    return run


@pytest.fixture
def fresh_host(lab_inventory: Path) -> FreshHost:
    """Return a function that puts a host back to how it came up and returns a connection to it."""

    def fresh(name: str) -> Host:
        driver.reset(LAB, name)
        host = testinfra.get_host(f"ansible://{name}?ansible_inventory={lab_inventory}")
        # ssh answers before the last service is up; a database takes its time on a busy machine.
        assert host.run("timeout 60 systemctl is-system-running --wait").stdout.strip() == "running"
        return host

    return fresh
