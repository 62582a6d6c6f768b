"""Building the report of very many hosts: the signed document and its annexes, over so many hosts."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pikepdf
from check import commandline
from ground import BUILD, HERE, ROOT
from measuring import Side, interleave, measure

sys.path += [str(ROOT / "tests"), str(ROOT / "tests" / "unit")]
import many_hosts

COUNTS = (30, 300, 1000)


def run(_hosts: int, rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure building the ratified report of runs over 30, 300 and 1,000 hosts."""
    BUILD.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as made:
        sides = [_side(Path(made), count) for count in COUNTS]
        costs = interleave(sides, rounds, lambda side: measure(side, ROOT, BUILD / "log"), say)
        files = ["| hosts | file | pages | bytes |", "|---|---|---|---|"]
        for count in COUNTS:
            files += _files(Path(made) / str(count) / "out", count)
    return {
        "sides": costs,
        "tables": [files],
        "commands": {side.name: commandline(side) for side in sides},
    }


def _side(folder: Path, count: int) -> Side:
    place = folder / str(count)
    place.mkdir()
    run = many_hosts.many_hosts(place, count)
    step, attempt, as_of = run.marks["laporan-hasil-update", "ratified"]
    asked = [run.folder.path, place / "out", str(step), str(attempt), str(as_of)]
    return Side(f"rawat: report of {count} hosts", [sys.executable, HERE / "report_run.py", *asked], {})


def _files(folder: Path, count: int) -> list[str]:
    lines = []
    for file in sorted(folder.glob("*")):
        with_pages = file.suffix == ".pdf"
        pages = ""
        if with_pages:
            with pikepdf.open(file) as pdf:
                pages = str(len(pdf.pages))
        lines.append(f"| {count} | {file.name} | {pages} | {file.stat().st_size} |")
    return lines
