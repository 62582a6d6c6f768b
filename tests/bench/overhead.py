"""What the runner adds to a row: the same play on the same hosts, with the runner and without it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from check import clear, commandline, work
from ground import HERE, ROOT, Ground
from measuring import Cost, Side, interleave, measure

from runner.ansible_settings import ansible_environment

OURS, BARE = "rawat: the row", "ansible-playbook, the same play"
PLAYBOOK = "check-hosts.yml"


def sides(ground: Ground) -> list[Side]:
    """Return everyone who takes part."""
    asked = {"inventory": str(ground.inventory), "playbook": PLAYBOOK} | work(ground)
    wish = ground.write("overhead.json", asked)
    home, sockets = ground.scratch / "bare-home", Path("/run/rawat-bench-bare")

    def empty() -> None:
        for folder in (home, sockets):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(mode=0o700)

    # The settings of the checkout, and none of the runner's: no channel, no ansible-runner, no evidence.
    settings = ansible_environment(ROOT, home, sockets)
    ours = {"BENCH_OUT": str(ground.scratch / "out")}
    bare = [Path(sys.executable).with_name("ansible-playbook"), "-i", ground.inventory]
    return [
        Side(OURS, [sys.executable, HERE / "row.py", wish], ours, before=lambda: clear(ground)),
        Side(BARE, [*bare, ROOT / "playbooks" / PLAYBOOK], settings, before=empty),
    ]


def run(ground: Ground, rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure both sides."""
    taking_part, log = sides(ground), ground.scratch / "log"

    def once(side: Side) -> Cost:
        return measure(side, ROOT, log, ground.lab)

    costs = interleave(taking_part, rounds, once, say)
    return {"sides": costs, "commands": {side.name: commandline(side) for side in taking_part}}
