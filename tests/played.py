"""What the role tests share: how a playbook went on the lab's hosts, read from the runner's own channel."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from testinfra.host import Host

ROOT = Path(__file__).parents[1]
LAB = "roles"
# All that a second run changes: the lock on the host, taken and given back.
ONLY_THE_LOCK = 1

FreshHost = Callable[[str], Host]
PlaybookCommand = Callable[..., list[str]]


@dataclass(frozen=True)
class Played:
    """How a playbook went: what each role published per host, and which hosts failed with what message."""

    evidence: dict[str, dict[str, Any]]
    failures: dict[str, str]
    counts: dict[str, dict[str, int]]
    output: str

    def changed(self, host: str) -> int:
        """Return how many tasks changed the host."""
        return self.counts[host]["changed"]


class RunPlaybook(Protocol):
    """Runs a playbook on the hosts of `limit`, with extra variables."""

    def __call__(self, playbook: str, limit: str, *, check: bool = False, **variables: object) -> Played: ...


def play(command: Sequence[str], channel: Path, *, seconds: float) -> Played:
    """Run a playbook's command with the runner's channel at a place of its own."""
    channel.unlink(missing_ok=True)
    told = {
        "ANSIBLE_CALLBACK_PLUGINS": str(ROOT / "runner" / "callback_plugins"),
        "ANSIBLE_CALLBACKS_ENABLED": "rawat_channel",
        "RAWAT_CHANNEL": str(channel),
    }
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | told,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
        check=False,
    )
    played = read_channel(channel, done.stdout)
    assert played.counts, done.stdout
    return played


def read_channel(channel: Path, output: str) -> Played:
    """Read the lines that the runner's callback plugin wrote."""
    lines = [json.loads(line) for line in channel.read_text(encoding="utf-8").splitlines()]
    evidence: dict[str, dict[str, Any]] = {}
    failures: dict[str, str] = {}
    counts: dict[str, dict[str, int]] = {}
    for line in lines:
        if line["kind"] == "evidence":
            evidence.setdefault(line["host"], {}).update(line["data"])
        elif line["kind"] == "host" and line["status"] in {"failed", "unreachable"}:
            failures.setdefault(line["host"], line["message"])
        elif line["kind"] == "end":
            counts = line["hosts"]
    return Played(evidence, failures, counts, output)
