"""Reading a long journal: what a resume does before it can go on, beside sha256sum of the same file.

A run is done once with the real engine and an office of fakes, and sent back once. What that added to the
journal is written over and over, with the attempt's number going on and the chain of hashes made anew.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from check import commandline
from ground import BUILD, HERE, ROOT
from measuring import Side, interleave, measure, median

from runner.canonical import canonical_json, sha256_hex

sys.path += [str(ROOT / "tests"), str(ROOT / "tests" / "unit")]
import record_builder

OURS, LIMIT, START = (
    "rawat: read and fold",
    "limit: sha256sum",
    "rawat: read and fold, a journal of one record",
)
RECORDS = 100_000
FIRST_PREV = "0" * 64


def short_run(folder: Path) -> Path:
    """Return the folder of a run that was sent back once and waits at its gate again."""
    office = record_builder.make_office(folder / "tree", record_builder.make_keys(folder / "keys"))
    run = office.start()
    office.go_on(run, {2: ["ulang"]})
    return run.path


def lengthened(lines: list[dict[str, Any]], count: int) -> list[bytes]:
    """Return a journal of about so many lines: the attempts of the first lines again and again."""
    second = next(
        i for i, line in enumerate(lines) if line["event"] == "step_started" and line["attempt"] == 2
    )
    head, loop = lines[:1], lines[1:second]
    written: list[bytes] = []
    prev = FIRST_PREV

    def write(line: dict[str, Any]) -> None:
        nonlocal prev
        data = canonical_json({**line, "seq": len(written) + 1, "prev": prev})
        written.append(data)
        prev = sha256_hex(data)

    for line in head:
        write(line)
    attempt = 0
    while len(written) < count:
        attempt += 1
        for line in loop:
            write({**line, "attempt": attempt} if "attempt" in line else line)
    return written


def run(_hosts: int, rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure reading and folding of a long journal."""
    import tempfile  # noqa: PLC0415 - only here

    with tempfile.TemporaryDirectory() as made:
        path = short_run(Path(made))
        journal = path / "journal.jsonl"
        lines = [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()]
        one = Path(made) / "one"
        one.mkdir()
        for file in path.iterdir():
            if file.is_file():
                (one / file.name).write_bytes(file.read_bytes())
        (one / "journal.jsonl").write_bytes(canonical_json(lines[0]))
        long = lengthened(lines, RECORDS)
        journal.write_bytes(b"".join(long))
        fold = [sys.executable, HERE / "fold_run.py"]
        sides = [
            Side(OURS, [*fold, path, str(len(long))], {}),
            Side(START, [*fold, one, "1"], {}),
            Side(LIMIT, ["sha256sum", journal], {}),
        ]
        BUILD.mkdir(parents=True, exist_ok=True)
        costs = interleave(sides, rounds, lambda side: measure(side, ROOT, BUILD / "log"), say)
        size = journal.stat().st_size
    seconds = median([cost["seconds"] for cost in costs[OURS]])
    rate = f"{len(long)} records, {size / 1e6:.1f} MB: {len(long) / seconds:.0f} records a second."
    return {
        "sides": costs,
        "tables": [[rate]],
        "commands": {side.name: commandline(side) for side in sides},
    }
