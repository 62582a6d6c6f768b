"""Does a whole run of the Surakarta SOP over simulated hosts. Usage: growth_run.py HOSTS FOLDER [WAVE].

WAVE is how many hosts are changed at a time; ten, as in the SOP, when it is left out. Wants tests and
tests/unit on the path. The engine, its journal, gates, signatures and archive are real; what a host would
answer is made up, of the size that a host's answer has. Documents are a bench of their own. Prints per phase
the seconds and the processor seconds it took, as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import sample_run
from fakes import FakeExecutor
from scenarios.conftest import OFFICIALS, SURAKARTA_APPROVED
from scenarios.office import Office

from runner import archive, record, verify
from runner.executors.base import ActionRequest, HostResult, Progress
from runner.officials import load_roster

SOP = Path(__file__).parents[2] / "sops" / "surakarta-system-update.yml"
FINDINGS = 20
UPDATES = 12


class Answers(FakeExecutor):
    """Answers as roles and tests do, every host alike and well."""

    def execute(self, request: ActionRequest, progress: Progress) -> tuple[HostResult, ...]:
        del progress
        said = ANSWERS[request.playbook.stem if request.playbook else "tests"]
        return tuple(HostResult(host, "ok", said) for host in request.hosts)


def _answers() -> dict[str, dict[str, Any]]:
    findings = [sample_run.at_most("memory", str(number), 40, "%", 90, 97) for number in range(FINDINGS)]
    updates = [sample_run.update(f"lab-{n}", [f"CVE-2099-{1000 + n}"]) for n in range(UPDATES)]
    plan = {"plan_updates": sample_run.found(updates), "check_host": sample_run.checked(*findings)}
    changes = [{"package": u["package"], "from": u["from"], "to": u["to"]} for u in updates]
    applied = sample_run.applied("web1")
    applied["apply_updates"] |= {"changes": changes}
    return {
        "plan-updates": plan,
        "backup-hosts": {"back_up_host": sample_run.backed_up("web1")},
        "apply-updates": applied,
        "tests": sample_run.tested(),
    }


ANSWERS: dict[str, dict[str, Any]] = _answers()


def office(folder: Path, count: int, wave: str) -> Office:
    """Return an office of so many hosts, with keys of its own."""
    keys, tree = folder / "keys", folder / "tree"
    keys.mkdir(parents=True)
    lines = ["office: Dinas Contoh", "officials:"]
    for number, (name, positions) in enumerate(OFFICIALS.items(), start=1):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(keys / name)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        named = f"positions: [{', '.join(positions)}], key: {name}.pub"
        lines.append(f'  - {{id: {name}, name: Nama {name}, nip: "{number:018d}", {named}}}')
    (keys / "officials.yml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for place in ("playbooks", "report_templates", "inventory", "tests/post_update"):
        (tree / place).mkdir(parents=True)
    hosts = tuple(f"pc{number}" for number in range(1, count + 1))
    text = SOP.read_text(encoding="utf-8").replace("size: 10,", f"size: {wave},")
    made = Office(tree, load_roster(keys / "officials.yml"), keys, text, SOP.name)
    made.hosts, made.groups = hosts, {"canary": hosts[:1]}
    made.playbooks = made.suites = Answers()
    for step in made.sop.steps:
        for output in step.documents:
            (tree / "report_templates" / f"{output.document}.html.j2").touch()
    for name in ("plan-updates", "backup-hosts", "apply-updates", "rollback-updates"):
        (tree / "playbooks" / f"{name}.yml").touch()
    (tree / "tests/post_update/conftest.py").touch()
    return made


def main(count: int, folder: Path, wave: str) -> None:
    """Do the run, read it, judge it, seal it."""
    made = office(folder, count, wave)
    taken: dict[str, dict[str, float]] = {}

    def took(phase: str, since: tuple[float, float]) -> tuple[float, float]:
        now = time.monotonic(), sum(os.times()[:4])
        taken[phase] = {"seconds": now[0] - since[0], "cpu": now[1] - since[1]}
        return now

    at = time.monotonic(), sum(os.times()[:4])
    run = made.start()
    at = took("start", at)
    made.go_on(run, SURAKARTA_APPROVED)
    at = took("rows and gates", at)
    events = len(record.load(run).events)
    at = took("read again", at)
    verify.check_run(run)
    at = took("judged", at)
    archive.seal(run, folder / "archive")
    took("sealed", at)
    size = sum(file.stat().st_size for file in run.path.rglob("*") if file.is_file())
    print(json.dumps({
        "phases": taken, "records": events, "journal": run.journal.stat().st_size, "bytes": size
    }))  # fmt: skip


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else "10")
