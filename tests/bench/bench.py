"""`make bench`: measures Rawat and its peers side by side, and writes docs/performance.md.

Usage: bench.py [--hosts N] [--rounds N] [BENCH...]; without a name all of them. Needs root, as a lab does.
Results of each bench and number of hosts are kept in docs/performance.json; a bench replaces its own only.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import check
import growth
import journals
import overhead
import page
import patch
import reports
import suite
from ground import LABS, ROOT, lab_of, peer_versions
from measuring import BenchError

from lab import driver
from lab.layout import DEBIAN_SECURITY

RESULTS = ROOT / "docs" / "performance.json"
Bench = Callable[[int, int, Callable[[str], None]], dict[str, Any]]


def run_check(hosts: int, rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure the check row on lab hosts."""
    return check.run(lab_of(hosts), rounds, say)


def run_test(hosts: int, rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure the test row on lab hosts."""
    return suite.run(lab_of(hosts), rounds, say)


def run_patch(hosts: int, rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure the patch row on lab hosts with real updates of Debian's pending."""
    return patch.run(lab_of(hosts, DEBIAN_SECURITY), rounds, say)


def run_overhead(hosts: int, rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure the check row with the runner and without it."""
    return overhead.run(lab_of(hosts), rounds, say)


BENCHES: dict[str, Bench] = {
    "check": run_check,
    "patch": run_patch,
    "test": run_test,
    "overhead": run_overhead,
    "journal": journals.run,
    "growth": growth.run,
    "report": reports.run,
}

# What is measured without any host of a lab.
WITHOUT_HOSTS = {"journal", "growth", "report"}


def main() -> int:
    """Measure what is asked for and write the page."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("names", nargs="*", metavar="BENCH", help=", ".join(BENCHES))
    parser.add_argument("--hosts", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keep-lab", action="store_true", help="leave the lab's hosts up")
    asked = parser.parse_args()
    if unknown := sorted(set(asked.names) - set(BENCHES)):
        print(f"no bench {unknown[0]!r}; there are {', '.join(BENCHES)}", file=sys.stderr)
        return 2
    results = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    try:
        for name in asked.names or BENCHES:
            print(f"{name}, {asked.hosts} hosts, {asked.rounds} rounds", flush=True)
            began, load = datetime.now(UTC), os.getloadavg()[0]
            measured = BENCHES[name](asked.hosts, asked.rounds, lambda text: print(text, flush=True))
            hosts = 0 if name in WITHOUT_HOSTS else asked.hosts
            results[f"{name}-{hosts}"] = {
                "at": began.isoformat(timespec="minutes"),
                "hosts": hosts,
                "rounds": asked.rounds,
                "load": [round(load, 1), round(os.getloadavg()[0], 1)],
                "machine": page.machine(),
                "versions": page.versions() | peer_versions(),
                **measured,
            }
            RESULTS.write_text(json.dumps(results, indent=1, sort_keys=True) + "\n", encoding="utf-8")
            page.write(results, ROOT / "docs")
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 4
    finally:
        if not asked.keep_lab:
            for name in LABS:
                driver.down(name)
    print("written: docs/performance.md, docs/performance.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
