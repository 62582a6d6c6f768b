"""A lab of its own for hosts of the RHEL family."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import testinfra
from plans import Plan, Update, written
from played import ROOT, FreshHost, PlaybookCommand, Played, RunPlaybook, play
from testinfra.host import Host

from lab import driver
from lab.layout import REDHAT

LAB = "rhelcampaign"
PROGRAMS = Path(sys.executable).parent
SECONDS = 300


@pytest.fixture(scope="session", name="lab_inventory")
def _lab_inventory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Bring up two hosts for the campaign and take them down at its end."""
    inventory = tmp_path_factory.mktemp("lab") / "inventory"
    with pytest.MonkeyPatch.context() as patch:
        # testinfra looks for ansible's programs on the path.
        patch.setenv("PATH", str(PROGRAMS), prepend=os.pathsep)
        driver.up(driver.Wish(name=LAB, count=2, profile=REDHAT, inventory=inventory))
        try:
            yield inventory
        finally:
            driver.down(LAB)


@pytest.fixture
def playbook_command(lab_inventory: Path) -> PlaybookCommand:
    """Return a function that gives a playbook's command line, for tests that start and cut it themselves."""

    def command(playbook: str, limit: str, **variables: object) -> list[str]:
        words = ["--inventory", str(lab_inventory), "--limit", limit, "--extra-vars", json.dumps(variables)]
        return [str(PROGRAMS / "ansible-playbook"), *words, str(ROOT / "playbooks" / playbook)]

    return command


@pytest.fixture
def run_playbook(playbook_command: PlaybookCommand, tmp_path: Path) -> RunPlaybook:
    """Return a function that runs a playbook and returns what it published."""

    def run(playbook: str, limit: str, *, check: bool = False, **variables: object) -> Played:
        command = [*playbook_command(playbook, limit, **variables), *(["--check"] if check else [])]
        return play(command, tmp_path / "channel.jsonl", seconds=SECONDS)

    return run


@pytest.fixture
def plan_file(tmp_path: Path) -> Plan:
    """Return a function that writes an approved plan for the one host."""

    def write(updates: list[Update], *, reboot: bool = False) -> Path:
        return written(tmp_path, updates, reboot=reboot)

    return write


@pytest.fixture
def fresh_host(lab_inventory: Path) -> FreshHost:
    """Return a function that puts a host back to how it came up and returns a connection to it."""

    def fresh(name: str) -> Host:
        driver.reset(LAB, name)
        host = testinfra.get_host(f"ansible://{name}?ansible_inventory={lab_inventory}")
        assert host.run("timeout 60 systemctl is-system-running --wait").stdout.strip() == "running"
        return host

    return fresh
