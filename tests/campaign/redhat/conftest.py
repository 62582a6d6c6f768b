"""A lab of its own for hosts of the RHEL family."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import labs
import pytest
from plans import HOST, Plan, Update, written
from played import FreshHost, PlaybookCommand, Played, RunPlaybook, play
from testinfra.host import Host

from lab.layout import REDHAT

LAB = "rhelcampaign"
SECONDS = 300


@pytest.fixture(scope="session", name="lab_inventory")
def _lab_inventory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Bring up two hosts for the campaign and take them down at its end."""
    with labs.raised(tmp_path_factory.mktemp("lab"), LAB, 2, REDHAT) as inventory:
        yield inventory


@pytest.fixture
def playbook_command(lab_inventory: Path) -> PlaybookCommand:
    """Return a function that gives a playbook's command line, for tests that start and cut it themselves."""

    def command(playbook: str, limit: str, **variables: object) -> list[str]:
        return labs.command(playbook, limit, variables, lab_inventory)

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
        return labs.fresh(LAB, lab_inventory, name)

    return fresh


@pytest.fixture
def host(fresh_host: FreshHost, run_playbook: RunPlaybook) -> Host:
    """Give a fresh host whose sources were just looked at, as before a wave."""
    found = fresh_host(HOST)
    assert run_playbook("plan-updates.yml", HOST, rawat_reprobe=True).failures == {}
    return found
