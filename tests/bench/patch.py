"""The patch row against its peers: the same real updates, from the same state of the hosts.

The hosts are those of the lab's profile debian-security. What is pending on all of them is pinned; the lab's
own packages are left out, because some of those break their host on purpose.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from check import TUNING, commandline
from ground import HERE, ROOT, Ground, each_host, peers, shared
from measuring import BenchError, Cost, Side, interleave, measure

from lab import driver

OURS, LIMIT = "rawat: patch row", "limit: apt-get by parallel ssh"
RAW, MODULE, USUAL = "ansible raw, apt-get", "ansible, apt module", "ansible, a usual role of 8 tasks"
SETTLED = "timeout 120 systemctl is-system-running --wait; pgrep -x apt-get || true"
ENOUGH = 20
Update = dict[str, Any]


def prepare(ground: Ground) -> dict[str, dict[str, Any]]:
    """Plan the updates of all hosts, and make what they are now the state that a reset brings back.

    Raises:
        BenchError: when a host cannot be planned.
    """
    out, work = ground.scratch / "out", fresh(ground.scratch / "plan-row")
    wish = ground.write(
        "plan.json", {"inventory": str(ground.inventory), "playbook": "plan-updates.yml", "work": str(work)}
    )
    environment = {**os.environ, "BENCH_OUT": str(out)}
    subprocess.run([sys.executable, HERE / "row.py", wish], cwd=ROOT, env=environment, check=False)
    told = json.loads(out.read_text(encoding="utf-8"))
    if failed := {host: each["why"] for host, each in told.items() if each["status"] != "ok"}:
        raise BenchError(f"not planned: {failed}")
    each_host(ground, partial(driver.keep, ground.lab))
    return {host: each["results"]["plan_updates"] for host, each in told.items()}


def pinned(plans: dict[str, dict[str, Any]]) -> list[Update]:
    """Return some twenty updates of Debian's that are pending on every host, in the same versions.

    The packages of a source belong together. The smallest sources come first: the more hosts there are.
    """
    found = [{(u["package"], u["from"], u["to"]): u for u in plan["updates"]} for plan in plans.values()]
    common = set.intersection(*(set(updates) for updates in found))
    sources: dict[str, list[Update]] = {}
    for key in sorted(common):
        if not key[0].startswith("lab-"):
            sources.setdefault(found[0][key]["source"], []).append(found[0][key])
    chosen: list[Update] = []
    for packages in sorted(sources.values(), key=lambda packages: sum(u["bytes"] for u in packages)):
        if len(chosen) < ENOUGH:
            chosen += packages
    return sorted(chosen, key=lambda update: str(update["package"]))


def fresh(folder: Path) -> Path:
    """Return the folder, empty but for a folder of the hosts' states."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "host_state").mkdir(parents=True)
    return folder


def restore(ground: Ground) -> None:
    """Put every host back to the state that was kept, and wait until it has come to rest."""
    each_host(ground, partial(driver.reset, ground.lab))
    each_host(ground, lambda host: ground.ssh(host, SETTLED))
    # What writing a gigabyte back leaves to be done is not the next side's.
    os.sync()
    time.sleep(1)


def sides(ground: Ground, plans: dict[str, dict[str, Any]], updates: list[Update]) -> list[Side]:
    """Return everyone who takes part."""
    row, programs = ground.scratch / "row", peers()
    packages = shared("debian_packages")
    versions = {u["package"]: u["to"] for u in updates}
    # The very call that our role makes on a host.
    call = packages.install_command(versions, lock_timeout=600, options=["--only-upgrade"])
    # Programs of a package are replaced while its scripts run: a question would hang the host.
    settings = [f"{name}={value}" for name, value in packages.ENVIRONMENT.items()]
    command = shlex.join(["env", *settings, *call])
    addresses = ground.scratch / "addresses"
    addresses.write_text("".join(f"{address}\n" for address in ground.hosts.values()), encoding="ascii")
    ssh = ["ssh", "-n", *ground.ssh_options(), "-l", "root"]
    forks = str(len(ground.hosts))
    plan = ground.scratch / "plan"
    plan.write_text(json.dumps({"hosts": {host: planned(plans[host], updates) for host in ground.hosts}}))
    wish = ground.write(
        "patch.json",
        {
            "inventory": str(ground.inventory),
            "playbook": "apply-updates.yml",
            "plan": str(plan),
            "changes": True,
            "claim": {"run": "2026-01-01-bench-1", "started": "0" * 64, "operator": "bench"},
            "work": str(row),
        },
    )
    asked = ground.scratch / "pinned.json"
    named = [f"{package}={version}" for package, version in sorted(versions.items())]
    asked.write_text(json.dumps({"pinned": named, "command": command}), encoding="utf-8")
    no_settings = ground.scratch / "peers.cfg"
    no_settings.touch()
    tuned = TUNING | {
        "ANSIBLE_FORKS": forks,
        "ANSIBLE_CONFIG": str(no_settings),
        "ANSIBLE_TIMEOUT": "60",
        "ANSIBLE_HOME": str(ground.scratch / "peers-home"),
    }
    play = [programs / "ansible-playbook", "-i", ground.peer_inventory(), "-e", f"@{asked}"]
    out = {"BENCH_OUT": str(ground.scratch / "out")}

    def side(name: str, argv: list[str | Path], environment: dict[str, str], rounds: int = 10**6) -> Side:
        def before() -> None:
            restore(ground)
            fresh(row)

        return Side(name, argv, environment, rounds=rounds, before=before)

    return [
        side(OURS, [sys.executable, HERE / "row.py", wish], out),
        side(LIMIT, ["xargs", "-a", addresses, "-P", forks, "-I{}", *ssh, "{}", command], {}),
        side(RAW, [*play, HERE / "peers/update-raw.yml"], tuned, rounds=2),
        side(MODULE, [*play, HERE / "peers/update-apt.yml"], tuned, rounds=2),
        side(USUAL, [*play, HERE / "peers/update-usual.yml"], tuned, rounds=2),
    ]


def planned(plan: dict[str, Any], updates: list[Update]) -> dict[str, Any]:
    """Return a host's plan with the pinned updates alone; nobody reboots a host here."""
    return {**plan, "updates": updates, "reboot": {**plan["reboot"], "expected": False}}


def require_installed(ground: Ground, side: str, updates: Iterable[Update]) -> None:
    """Raises BenchError unless every host has exactly the pinned versions, and dpkg has no complaint."""
    wanted = {u["package"]: u["to"] for u in updates}
    form = "'${Package} ${Version} ${db:Status-Abbrev}\\n'"
    ask = f"dpkg-query --show --showformat={form} {shlex.join(wanted)}"

    def look(host: str) -> None:
        said = ground.ssh(host, f"dpkg --audit; {ask}")
        found = {line.strip() for line in said.splitlines()}
        other = found ^ {f"{name} {version} ii" for name, version in wanted.items()}
        if other:
            raise BenchError(f"{side} left {host} otherwise than pinned: {sorted(other)[:4]}")

    each_host(ground, look)


def run(ground: Ground, rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure the sides; after each of them, every host must have the same versions."""
    log = ground.scratch / "log"
    plans = prepare(ground)
    updates = pinned(plans)
    size = sum(u["bytes"] for u in updates)
    say(f"  {len(updates)} updates pending on all {len(ground.hosts)} hosts, {size / 1e6:.0f} MB each")
    taking_part = sides(ground, plans, updates)

    def once(side: Side) -> Cost:
        cost = measure(side, ROOT, log, ground.lab)
        require_installed(ground, side.name, updates)
        return cost

    costs = interleave(taking_part, rounds, once, say)
    table = ["| updates of each host | from | to |", "|---|---|---|"]
    table += [f"| {u['package']} | {u['from']} | {u['to']} |" for u in updates]
    return {
        "sides": costs,
        "commands": {side.name: commandline(side) for side in taking_part},
        "tables": [[f"{len(updates)} updates a host, {size / 1e6:.0f} MB in all."], table],
    }
