"""What a run costs the controller as the number of hosts grows: everything but the hosts' own answers."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from check import commandline
from ground import BUILD, HERE, ROOT
from measuring import Cost, Side, interleave, measure, median

COUNTS = (30, 100, 300, 1000)


def run(_hosts: int, rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure whole runs over simulated hosts."""
    phases: dict[str, list[dict[str, Any]]] = {}
    # In memory: on a disk that is shared, the syncs of a run would be what is measured.
    with tempfile.TemporaryDirectory(dir="/dev/shm") as made:
        BUILD.mkdir(parents=True, exist_ok=True)
        sides = [_side(count, Path(made) / str(count)) for count in COUNTS]

        def once(side: Side) -> Cost:
            log = BUILD / "log"
            cost = measure(side, ROOT, log)
            phases.setdefault(side.name, []).append(json.loads(log.read_text(encoding="utf-8")))
            return cost

        costs = interleave(sides, rounds, once, say)
    return {
        "sides": costs,
        "tables": [_table(phases)],
        "commands": {side.name: commandline(side) for side in sides},
    }


def _side(count: int, folder: Path) -> Side:
    path = {"PYTHONPATH": f"{ROOT}/tests:{ROOT}/tests/unit"}
    argv = [sys.executable, HERE / "growth_run.py", str(count), folder]
    empty = partial(shutil.rmtree, folder, ignore_errors=True)
    return Side(f"rawat: whole run, {count} hosts", argv, path, before=empty)


def _table(phases: dict[str, list[dict[str, Any]]]) -> list[str]:
    names = list(next(iter(phases.values()))[0]["phases"])
    rows = [
        f"| run | {' | '.join(f'{name}, CPU s' for name in names)} | records | journal MB | all MB |",
        f"|---|{'---|' * len(names)}---|---|---|",
    ]
    for run_name, rounds in phases.items():
        cpu = [f"{median([one['phases'][name]['cpu'] for one in rounds]):.2f}" for name in names]
        last = rounds[-1]
        sizes = f"{last['records']} | {last['journal'] / 1e6:.2f} | {last['bytes'] / 1e6:.1f}"
        rows.append(f"| {run_name} | {' | '.join(cpu)} | {sizes} |")
    return rows
