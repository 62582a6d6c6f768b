"""A made-up run of the Surakarta SOP over very many hosts, for the tests and measurements of long documents.

Hosts are alike in twenty groups of twelve updates each, as computers of an office are. Of a hundred hosts
one is out of reach, two fail their tests and are rolled back, and five have something that is not good.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from sample_run import DEAD, RUN, SERVICES, SampleRun, backed_up, checked, found, tested, update

from runner import evidence
from runner.canonical import canonical_json
from runner.executors.base import Failure, HostResult
from runner.files import write_once
from runner.moves import Part
from runner.plan import ActsBy, hosts_to_change, make_plan

GROUPS, UPDATES = 20, 12


def plan_of(number: int) -> dict[str, Any]:
    """Return what the plan role publishes for the host of this number."""
    group = number % GROUPS
    updates = [
        update(f"paket-{group}-{one}", [f"CVE-2099-{group:02d}{one:02d}"] if one % 3 == 0 else [])
        for one in range(UPDATES)
    ]
    return found(updates)


def applied(number: int) -> dict[str, Any]:
    """Return what the roles of the update publish for that host."""
    updates = plan_of(number)["updates"]
    changes = [{key: one[key] for key in ("package", "from", "to")} for one in updates]
    return {
        "apply_updates": {
            "changes": changes,
            "already": [],
            "refused": [],
            "outcome": "applied",
            "dpkg_audit": [],
            "seconds": 8.2,
            "log_tail": "",
        }
    }


def undone(number: int) -> dict[str, Any]:
    """Return what the rollback role publishes for that host."""
    updates = plan_of(number)["updates"]
    changes = [{"package": one["package"], "from": one["to"], "to": one["from"]} for one in updates]
    told = {"changes": changes, "not_undone": [], "dpkg_audit": [], "outcome": "rolled back", "seconds": 6.0}
    return {"rollback_updates": told}


def many_hosts(path: Path, count: int) -> SampleRun:
    """Return a run over so many hosts, done up to the ratified report."""
    hosts = [f"pc{number:04d}" for number in range(count)]
    numbers = {host: number for number, host in enumerate(hosts)}
    run = SampleRun(path, hosts=hosts)
    run.start()
    silent = [host for host in hosts if numbers[host] % 100 == 99]
    known = [host for host in hosts if host not in silent]
    sick = [host for host in known if numbers[host] % 50 == 7]
    dead = checked(DEAD)
    checks = {host: dead if numbers[host] % 20 == 3 else checked() for host in known}

    part = Part("1", "playbook", tuple(hosts))
    run.begin(2, 1, [part])
    told = [
        HostResult(h, "ok", {"plan_updates": plan_of(numbers[h]), "check_host": checks[h]}) for h in known
    ]
    told += [HostResult(h, "unreachable", {}, Failure("", "No route to host")) for h in silent]
    run.act(2, 1, part, 74, told)
    plan = make_plan(RUN, run.digest, ActsBy("0" * 64, {}), evidence.read(run.folder, run.last_evidence))
    file = write_once(run.folder.plan(2, 1), canonical_json(plan))
    run.write(
        "plan_made",
        step=2,
        attempt=1,
        path=run.folder.relative(file),
        sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
        hosts=hosts_to_change(plan),
        failure_budget=3,
    )
    run.document(2, 1)
    run.end(2, 1, 3)
    run.gate(3, 1, 1, "sesuai", 4)
    run.gate(4, 1, 3, "diperintahkan", 5)
    run.begin(5, 1)
    run.write("step_spanned", step=5, attempt=1, until=8, next=6)

    part = Part("1", "playbook", tuple(known))
    for row, role in ((6, lambda h: {"back_up_host": backed_up(h)}), (7, lambda h: applied(numbers[h]))):
        run.begin(row, 1, [part])
        run.act(row, 1, part, 90, [HostResult(h, "ok", role(h)) for h in known], changes=row == 7)
        run.document(row, 1)
        run.end(row, 1, row + 1)

    bad = (SERVICES, "layanan tidak aktif: layanan.service")
    part = Part("1", "suite", tuple(known))
    run.begin(8, 1, [part])
    told = [
        HostResult(h, "failed", tested(bad), Failure(*bad)) if h in sick else HostResult(h, "ok", tested())
        for h in known
    ]
    run.act(8, 1, part, 22, told)
    recover, retest = Part("recover", "recover", tuple(sick)), Part("retest", "retest", tuple(sick))
    run.act(8, 1, recover, 27, [HostResult(h, "ok", undone(numbers[h])) for h in sick], changes=True)
    run.act(8, 1, retest, 15, [HostResult(h, "ok", tested()) for h in sick])
    run.decide(8, 1, 1, "disaksikan")
    run.document(8, 1)
    run.end(8, 1, 9, "tidak normal")
    run.end(5, 1, None)
    run.draft(1)
    run.gate(10, 1, 2, "sesuai", 11)
    run.gate(11, 1, 3, "ditetapkan", 12)
    return run
