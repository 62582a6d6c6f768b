"""A lab of its own for the role tests, and a way to run a playbook on it and read what it published."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import testinfra
from played import LAB, ROOT, FreshHost, PlaybookCommand, Played, RunPlaybook, read_channel
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
    """Return a function that gives a playbook's command line, for tests that start and cut it themselves."""

    def command(playbook: str, limit: str, **variables: object) -> list[str]:
        extra = json.dumps({key: str(v) if isinstance(v, Path) else v for key, v in variables.items()})
        options = ["--inventory", str(lab_inventory), "--limit", limit, "--extra-vars", extra]
        return [str(PROGRAMS / "ansible-playbook"), *options, str(ROOT / "playbooks" / playbook)]

    return command


@pytest.fixture
def run_playbook(playbook_command: PlaybookCommand, tmp_path: Path) -> RunPlaybook:
    """Return a function that runs a playbook and returns what it published."""

    def run(playbook: str, limit: str, *, check: bool = False, **variables: object) -> Played:
        channel = tmp_path / "channel.jsonl"
        channel.unlink(missing_ok=True)
        told = {
            "ANSIBLE_CALLBACK_PLUGINS": str(ROOT / "runner" / "callback_plugins"),
            "ANSIBLE_CALLBACKS_ENABLED": "rawat_channel",
            "RAWAT_CHANNEL": str(channel),
        }
        done = subprocess.run(
            [*playbook_command(playbook, limit, **variables), *(["--check"] if check else [])],
            cwd=ROOT,
            env=os.environ | told,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PLAYBOOK_SECONDS,
            check=False,
        )
        played = read_channel(channel, done.stdout)
        assert played.counts, done.stdout
        return played

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
