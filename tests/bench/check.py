"""The check row against its peers: the same facts of every host."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import questions
from ground import HERE, ROOT, Ground, peers, plugin
from measuring import BenchError, Cost, Side, interleave, measure

OURS, LIMIT = "rawat: check row", "limit: asyncssh, one probe"
# As the limit and pyinfra do: curve25519 alone, without the part that withstands a quantum computer.
CHEAP = "rawat: check row, keys exchanged as the limit does"
PYINFRA_12, PYINFRA_1 = "pyinfra, 12 facts", "pyinfra, 1 fact (our probe)"
TUNED, PLAIN, MITOGEN = (
    "ansible, 12 tasks, tuned",
    "ansible, 12 tasks, as it comes",
    "mitogen_linear, 12 tasks",
)
# Ways that take minutes a round with more hosts than these, and say nothing new by it.
SLOW, MOST_FOR_SLOW = (TUNED, PLAIN, MITOGEN), 50
COMMAND = "/usr/bin/python3 -I -S -B -"
# What group_vars of the lab and the role's defaults ask for.
WANTED = {"certificates": [], "backup_marker": "/var/backups/rawat/verified-snapshot.json", "seconds": 60}
TUNING = {
    "ANSIBLE_FORKS": "50",
    "ANSIBLE_PIPELINING": "True",
    "ANSIBLE_SSH_ARGS": "-o ControlMaster=auto -o ControlPersist=60s",
}


def program() -> str:
    """Return the program that the role's action sends to a host."""
    return str(plugin("roles/check_host/action_plugins/check_host_probe.py")._program(WANTED))


def sides(ground: Ground) -> list[Side]:
    """Return everyone who takes part."""
    programs, out = peers(), {"BENCH_OUT": str(ground.scratch / "out")}
    asked = {"program": program(), "command": COMMAND, "questions": questions.QUESTIONS}
    wish = ground.write("asked.json", asked)
    row = ground.write(
        "row.json", {"inventory": str(ground.inventory), "playbook": "check-hosts.yml"} | work(ground)
    )
    cheap = ground.write(
        "cheap.json", {"inventory": str(_cheap_keys(ground)), "playbook": "check-hosts.yml"} | work(ground)
    )
    extra = ground.scratch / "questions.json"
    extra.write_text(json.dumps({"questions": questions.QUESTIONS}), encoding="utf-8")
    tasks = [
        programs / "ansible-playbook",
        "-i",
        ground.peer_inventory(),
        "-e",
        f"@{extra}",
        HERE / "peers/twelve-tasks.yml",
    ]
    no_settings = ground.scratch / "peers.cfg"
    no_settings.touch()
    callback = {
        "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "peers/callback_plugins"),
        "ANSIBLE_CALLBACKS_ENABLED": "answers",
        # Neither our ansible.cfg nor that of whoever measures.
        "ANSIBLE_CONFIG": str(no_settings),
        # A machine under load answers late; that must not end a round.
        "ANSIBLE_TIMEOUT": "60",
        "ANSIBLE_HOME": str(ground.scratch / "peers-home"),
    } | out
    mitogen = {
        "ANSIBLE_STRATEGY": "mitogen_linear",
        "ANSIBLE_STRATEGY_PLUGINS": str(
            next(programs.parent.glob("lib/*/site-packages/ansible_mitogen/plugins/strategy"))
        ),
    }
    everyone = [
        Side(OURS, [sys.executable, HERE / "row.py", row], out, before=lambda: clear(ground)),
        Side(CHEAP, [sys.executable, HERE / "row.py", cheap], out, before=lambda: clear(ground)),
        Side(LIMIT, [programs / "python", HERE / "peers/limit.py", wish], out),
        Side(PYINFRA_12, [programs / "python", HERE / "peers/pyinfra_facts.py", wish, "twelve"], out),
        Side(PYINFRA_1, [programs / "python", HERE / "peers/pyinfra_facts.py", wish, "one"], out),
        Side(TUNED, tasks, callback | TUNING, rounds=3),
        Side(MITOGEN, tasks, callback | TUNING | mitogen, rounds=2),
        Side(PLAIN, tasks, callback, rounds=1),
    ]
    return [side for side in everyone if side.name not in SLOW or len(ground.hosts) <= MOST_FOR_SLOW]


def _cheap_keys(ground: Ground) -> Path:
    """Return the lab's inventory as an office writes it that exchanges keys by curve25519 alone."""
    inventory = ground.scratch / "cheap-keys"
    shutil.copytree(ground.inventory, inventory)
    words = "ansible_ssh_extra_args: -o KexAlgorithms=curve25519-sha256\n"
    (inventory / "group_vars" / "all" / "key_exchange.yml").write_text(words, encoding="utf-8")
    return inventory


def work(ground: Ground) -> dict[str, Any]:
    """Return the scratch folder of a row."""
    return {"work": str(ground.scratch / "row")}


def clear(ground: Ground) -> None:
    """Empty the scratch folder of a row."""
    folder = ground.scratch / "row"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "host_state").mkdir(parents=True)


def facts(side: str, out: Path) -> dict[str, questions.Facts]:
    """Return the facts that a side found, per host."""
    text = out.read_text(encoding="utf-8")
    if side in {OURS, CHEAP}:
        rows = json.loads(text).items()
        return {host: questions.of_probe(told["results"]["check_host"]["facts"]) for host, told in rows}
    if side == LIMIT:
        return {host: questions.of_probe_text(said) for host, said in json.loads(text).items()}
    if side == PYINFRA_1:
        return {host: questions.of_probe_text(said["probe"]) for host, said in json.loads(text).items()}
    if side == PYINFRA_12:
        return {host: questions.of_commands(said) for host, said in json.loads(text).items()}
    said_by: dict[str, dict[str, str]] = {}
    for line in text.splitlines():
        answer = json.loads(line)
        said_by.setdefault(answer["host"], {})[answer["fact"]] = answer["said"]
    return {host: questions.of_commands(said) for host, said in said_by.items()}


def require_same(found: dict[str, dict[str, questions.Facts]], again: dict[str, questions.Facts]) -> None:
    """Raises BenchError unless all found the same facts; errors in a journal may grow meanwhile."""
    limit = found[LIMIT]
    for side, hosts in found.items():
        for host, wanted in limit.items():
            got = hosts.get(host) or dict.fromkeys(wanted, -1)
            other = {name: (got[name], wanted[name]) for name in wanted if got[name] != wanted[name]}
            if wanted["journal"] <= got["journal"] <= again[host]["journal"]:
                other.pop("journal", None)
            if other:
                raise BenchError(f"{side} found other facts of {host} than {LIMIT}: {other}")


def run(ground: Ground, rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure the sides; go on after the first round only when all of them found the same."""
    taking_part, out, log = sides(ground), ground.scratch / "out", ground.scratch / "log"
    limit = next(side for side in taking_part if side.name == LIMIT)
    found: dict[str, dict[str, questions.Facts]] = {}

    def once(side: Side) -> Cost:
        cost = measure(side, ROOT, log, ground.lab)
        if side.name not in found:
            found[side.name] = facts(side.name, out)
            if len(found) == len(taking_part):
                measure(limit, ROOT, log, ground.lab)
                require_same(found, facts(LIMIT, out))
                say(f"  all {len(found)} sides found the same 12 facts of {len(ground.hosts)} hosts")
        return cost

    # The limit goes first: what the others count must be at least what it counted before them.
    in_order = [limit, *(side for side in taking_part if side is not limit)]
    costs = interleave(in_order, rounds, once, say)
    return {"sides": costs, "commands": {side.name: commandline(side) for side in taking_part}}


def commandline(side: Side) -> str:
    """Return a side's command as a person types it at the checkout's root."""
    # What a person's own environment says as well is of this machine only.
    given = {name: value for name, value in side.environment.items() if os.environ.get(name) != value}
    given = {name: value.replace(f":{os.environ['PATH']}", ":$PATH") for name, value in given.items()}
    settings = [f"{name}={value!r}" if " " in value else f"{name}={value}" for name, value in given.items()]
    line = " ".join([*settings, *(str(word) for word in side.argv)])
    return line.replace(f"{ROOT}/", "").replace(f"={ROOT} ", "=. ")
