"""The test row against testinfra as it is at its best: the same files, the same verdicts."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from check import commandline
from ground import HERE, ROOT, Ground
from measuring import BenchError, Cost, Side, interleave, measure

from lab.packages import OLD
from runner.executors.junit import read_junit

OURS = "rawat: test row"
BEST, COLD = "testinfra, connections reused", "testinfra, a connection a command"
SUITE = "post_update"
# What the role that records a host before its change has too.
MOUNTED = ROOT / "roles/plan_updates/module_utils/mounted.py"
URL = "http://127.0.0.1:8090/"
Verdicts = dict[tuple[str, str], str]


def state_of(ground: Ground, host: str) -> dict[str, Any]:
    """Return what is expected of a host: that it stays as it is, with the versions that it has."""
    units = ground.ssh(host, "systemctl list-units --type=service --state=active --plain --no-legend --full")
    ports = ground.ssh(host, "ss --no-header --listening --numeric --tcp")
    code = MOUNTED.read_text(encoding="utf-8")
    source = f"import json; a = {{'__name__': 'm'}}; exec({code!r}, a); print(json.dumps(a['told']()))"
    running = [line.split()[0] for line in units.splitlines()]
    baseline = {
        # What runs for one login only is gone with it.
        "units_active": sorted(unit for unit in running if not unit.startswith(("user", "ssh@"))),
        "units_failed": [],
        "ports": sorted({f"tcp/{line.split()[3].rpartition(':')[2]}" for line in ports.splitlines()}),
        "urls": [{"url": URL, "status": 200}],
        "mounts": json.loads(ground.ssh(host, f"python3 -c {shlex.quote(source)}")),
        "boot_id": ground.ssh(host, "cat /proc/sys/kernel/random/boot_id").strip(),
    }
    same = [{"package": name, "from": OLD, "to": OLD} for name in ("lab-good", "lab-tool")]
    plan = {"updates": same, "antivirus": {"product": "ClamAV"}, "reboot": {"expected": False}}
    return {"plan": plan, "record_baseline": baseline}


def sides(ground: Ground) -> list[Side]:
    """Return everyone who takes part."""
    row, states = ground.scratch / "row", ground.scratch / "states"
    states.mkdir(exist_ok=True)
    for host in ground.hosts:
        (states / f"{host}.json").write_text(json.dumps(state_of(ground, host)), encoding="utf-8")

    def clear() -> None:
        shutil.rmtree(row, ignore_errors=True)
        shutil.copytree(states, row / "host_state")
        (ground.scratch / "out").unlink(missing_ok=True)

    asked = {"inventory": str(ground.inventory), "suite": SUITE, "work": str(row)}
    wish = ground.write("suite.json", asked)
    pytest = [
        sys.executable,
        "-m",
        "pytest",
        f"tests/{SUITE}",
        "-p",
        "testinfra.plugin",
        "-p",
        "no:cacheprovider",
    ]
    pytest += [f"--hosts={','.join(f'ansible://{host}' for host in ground.hosts)}", "--tb=no", "-q"]
    pytest += [f"--junitxml={ground.scratch / 'out'}"]
    known = {
        "RAWAT_HOST_STATE": str(states),
        "RAWAT_PHASE": "after-update",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "ANSIBLE_CONFIG": str(ground.scratch / "peers.cfg"),
        # testinfra starts Ansible's programs by their names.
        "PATH": f"{Path(sys.executable).parent}:/usr/sbin:/usr/bin:/sbin:/bin",
    }
    reused = _inventory(ground, "reused.json", "-o ControlMaster=auto -o ControlPersist=60 -o ControlPath=")
    cold = _inventory(ground, "cold.json", "-o ControlMaster=no -o ControlPath=none")
    return [
        Side(
            OURS,
            [sys.executable, HERE / "row.py", wish],
            {"BENCH_OUT": str(ground.scratch / "out")},
            before=clear,
        ),
        Side(BEST, [*pytest, f"--ansible-inventory={reused}"], known, before=clear),
        Side(COLD, [*pytest, f"--ansible-inventory={cold}"], known, rounds=1, before=clear),
    ]


def _inventory(ground: Ground, name: str, options: str) -> Path:
    sockets = Path("/run/rawat-bench")
    sockets.mkdir(mode=0o700, exist_ok=True)
    (ground.scratch / "peers.cfg").touch()
    options = f"{options}{sockets}/%C" if options.endswith("=") else options
    strict = f"-o UserKnownHostsFile={ground.known_hosts} -o GlobalKnownHostsFile=/dev/null"
    hosts = {
        host: {
            "ansible_host": address,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(ground.key),
            "ansible_ssh_common_args": f"{strict} -o IdentitiesOnly=yes {options}",
        }
        for host, address in ground.hosts.items()
    }
    path = ground.scratch / name
    path.write_text(json.dumps({"all": {"hosts": hosts}}), encoding="utf-8")
    return path


def verdicts(side: str, out: Path) -> Verdicts:
    """Return what each test said of each host."""
    if side == OURS:
        told = json.loads(out.read_text(encoding="utf-8"))
        tests = {host: each["results"]["verification"]["tests"] for host, each in told.items()}
    else:
        tests = {host: [test.as_evidence() for test in found] for host, found in read_junit(out).items()}
    return {(host, test["name"]): test["outcome"] for host, found in tests.items() for test in found}


def run(ground: Ground, rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure the sides; go on after the first round only when all of them gave the same verdicts."""
    taking_part, out, log = sides(ground), ground.scratch / "out", ground.scratch / "log"
    found: dict[str, Verdicts] = {}

    def once(side: Side) -> Cost:
        cost = measure(side, ROOT, log, ground.lab)
        if side.name not in found:
            found[side.name] = verdicts(side.name, out)
            other = {
                key
                for key in found[side.name] | found[OURS]
                if found[OURS].get(key) != found[side.name].get(key)
            }
            if other:
                raise BenchError(f"{side.name} says otherwise than {OURS} of {sorted(other)[:5]}")
            say(f"  {side.name}: {len(found[side.name])} verdicts, the same")
        return cost

    costs = interleave(taking_part, rounds, once, say)
    return {"sides": costs, "commands": {side.name: commandline(side) for side in taking_part}}
