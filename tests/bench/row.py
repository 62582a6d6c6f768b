"""One row of a SOP as the engine does it, in a process of its own: import, executor, evidence.

Usage: row.py WISH; BENCH_OUT gets host -> {"status", "results", "why"}. WISH is a JSON file with `inventory`,
`hosts`, `work`, and either `playbook` or `suite`; the rest are fields of an ActionRequest.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from runner.executors.base import ActionRequest, Executor
from runner.executors.playbook import PlaybookExecutor
from runner.executors.verification import VerificationExecutor

ROOT = Path(__file__).parents[2]


def main(wish: dict) -> int:
    """Do the row and write down what it came to."""
    work = Path(wish["work"])
    request = ActionRequest(
        run="2026-01-01-bench-1",
        step=1,
        attempt=1,
        part="main",
        hosts=tuple(wish["hosts"]),
        inventory=Path(wish["inventory"]),
        work=work / "work",
        host_state=work / "host_state",
        plan=Path(wish["plan"]) if "plan" in wish else None,
        playbook=ROOT / "playbooks" / wish["playbook"] if "playbook" in wish else None,
        suite=ROOT / "tests" / wish["suite"] if "suite" in wish else None,
        changes=wish.get("changes", False),
        claim=wish.get("claim", {}),
    )
    executor: Executor = VerificationExecutor() if request.suite else PlaybookExecutor(ROOT)
    results = executor.execute(request, lambda _event: None)
    told = {
        each.host: {
            "status": each.status,
            "results": each.results,
            "why": each.failure.message if each.failure else "",
        }
        for each in results
    }
    Path(os.environ["BENCH_OUT"]).write_text(json.dumps(told), encoding="utf-8")
    return 0 if all(each.status == "ok" for each in results) else 4


if __name__ == "__main__":
    sys.exit(main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
