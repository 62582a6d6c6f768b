"""A lab of its own for the role tests, and a way to run a playbook on it and read what it published."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import labs
import pytest
from played import LAB, FreshHost, PlaybookCommand, Played, RunPlaybook, play
from testinfra.host import Host

PLAYBOOK_SECONDS = 300


@pytest.fixture(scope="session")
def lab_inventory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Bring up five hosts for the session and take them down at its end."""
    with labs.raised(tmp_path_factory.mktemp("lab"), LAB, 5) as inventory:
        yield inventory


@pytest.fixture(scope="session")
def playbook_command(lab_inventory: Path) -> PlaybookCommand:
    """Return a function that gives a playbook's command line, for tests that start and cut it themselves.

    Hosts are the lab's, or those of the file given as `inventory`.
    """

    def command(playbook: str, limit: str, **variables: object) -> list[str]:
        inventory = Path(str(variables.pop("inventory", lab_inventory)))
        return labs.command(playbook, limit, variables, inventory)

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
        return labs.fresh(LAB, lab_inventory, name)

    return fresh
