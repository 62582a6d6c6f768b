"""Hosts that are this machine behind a program that stands in for ssh: what goes over the line is counted.

The stand-in takes ssh's arguments, does what a host of that name does, and writes down what it was given.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from runner.files import make_private_dir

ROOT = Path(__file__).parents[2]

PATCHED = "patched"
"""How the name of a host begins that answers what it was told to, and runs nothing of what it is sent."""

_SSH = """\
#!{python} -IS
import json, os, subprocess, sys, time
host, command = sys.argv[-2:]
with open({calls!r} + "/" + host, "a") as calls:
    print(json.dumps({{"argv": sys.argv[1:], "pid": os.getpid()}}), file=calls)
if host == "hung":
    time.sleep(600)
elif host == "silent":
    print("ssh: connect to host silent port 22: No route to host", file=sys.stderr)
    sys.exit(255)
elif host == "flood":
    sys.stdout.write("x" * 1500000)
elif host == "liar":
    print('RAWAT-CHECK {{"facts": {{}}, "errors": {{}}, "began": "now"}}')
elif host == "192.0.2.7":
    print("Welcome!")
elif host.startswith({patched!r}):
    sent = sys.stdin.buffer.read()
    with open({calls!r} + "/" + host + ".answers") as answers:
        told = json.load(answers)
    # Which module it is stands in the payload's plain part; a lock is given back by the one that takes it.
    asked = [name for name in told if b"ansible.legacy." + name.encode() in sent]
    name = "released" if asked == ["hold_host_lock"] and b'released' in sent else asked[0]
    with open({calls!r} + "/" + host, "a") as calls:
        print(json.dumps({{"module": name, "sent": len(sent)}}), file=calls)
    print(json.dumps(told[name]))
elif host == "escalated" or host.startswith("tested"):
    os.execv("/bin/sh", ["sh", "-c", command])
else:
    sent = sys.stdin.buffer.read()
    done = subprocess.run(["/bin/sh", "-c", command], input=sent, stdout=subprocess.PIPE)
    with open({calls!r} + "/" + host, "a") as calls:
        print(json.dumps({{"sent": len(sent), "answered": len(done.stdout)}}), file=calls)
    sys.stdout.buffer.write(done.stdout)
"""
# What sudo is asked for stands in its last three words: a shell, -c, and the command.
_SUDO = """\
#!/bin/bash
echo "$@" >> {calls}/sudo
exec "${{@: -3}}"
"""
_SLEEPER = """\
#!/bin/sh
exec sleep 600
"""


@dataclass(frozen=True)
class Row:
    """How one action went on such hosts."""

    line: Line
    results: dict[str, dict[str, Any]]
    channel: list[dict[str, Any]]
    """What Ansible told of its tasks, in order."""
    processes: Counter[str]
    """What was started for it, as ``started`` counts."""

    def tasks(self, host: str) -> int:
        """Return how many tasks were begun for a host."""
        return sum(one["kind"] == "start" and one["host"] == host for one in self.channel)


class Line:
    """An inventory of such hosts, and what was called."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.calls = make_private_dir(folder / "calls")
        self.inventory = make_private_dir(folder / "inventory")
        fill = {"python": sys.executable, "calls": str(self.calls), "patched": PATCHED}
        self.ssh = _program(folder / "ssh", _SSH.format(**fill))
        self.sudo = _program(folder / "sudo", _SUDO.format(**fill))
        self.sleeper = _program(folder / "sleeper", _SLEEPER)

    def write(self, hosts: dict[str, dict[str, Any]]) -> None:
        """Write the inventory."""
        common = {
            "ansible_become_exe": str(self.sudo),
            "ansible_ssh_executable": str(self.ssh),
            "ansible_python_interpreter": sys.executable,
            "ansible_become": False,
        }
        tree = {"all": {"hosts": hosts, "vars": common}}
        (self.inventory / "hosts.yml").write_text(yaml.safe_dump(tree, sort_keys=False), encoding="utf-8")

    def answer(self, host: str, told: dict[str, dict[str, Any]]) -> None:
        """Say what a host that runs nothing answers to each module; ``released`` is the lock given back."""
        (self.calls / f"{host}.answers").write_text(json.dumps(told), encoding="utf-8")

    def called(self, host: str) -> list[dict[str, Any]]:
        """Return what was written down of the calls for a host."""
        path = self.calls / host
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [json.loads(line) for line in lines]

    def row(self, hosts: Iterable[str], **wish: object) -> Row:
        """Do one action as the engine does, traced; some of the hosts are to fail.

        Args:
            hosts: their names.
            wish: the action, as ``tests/bench/row.py`` reads it.
        """
        work = make_private_dir(self._folder / "row")
        make_private_dir(work / "host_state")
        whole = {"inventory": str(self.inventory), "hosts": [*hosts], "work": str(work), **wish}
        (self._folder / "wish").write_text(json.dumps(whole), encoding="utf-8")
        trace = make_private_dir(self._folder / "trace") / "of"
        calls = "trace=execve,clone,clone3,fork,vfork"
        strace = ["strace", "-ff", "--seccomp-bpf", "-qq", "-e", calls, "-e", "signal=none", "-o"]
        done = subprocess.run(
            [*strace, trace, sys.executable, ROOT / "tests" / "bench" / "row.py", self._folder / "wish"],
            env=os.environ | {"BENCH_OUT": str(self._folder / "out")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 4, done.stderr
        said = (work / "work" / "channel.jsonl").read_text(encoding="utf-8").splitlines()
        results = json.loads((self._folder / "out").read_text(encoding="utf-8"))
        return Row(self, results, [json.loads(each) for each in said], started(trace))


def _program(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o700)
    return path


def started(trace: Path) -> Counter[str]:
    """Count the processes of a traced program: by what program each became, or ``fork`` where it became none.

    What the hosts' side started is left out: the stand-in for ssh and a local host's shell are counted, and
    nothing below them.

    Args:
        trace: what ``strace -ff -o`` was given; each thread has a file of its own.
    """
    found: Counter[str] = Counter()
    left = [min(int(path.suffix[1:]) for path in trace.parent.glob(f"{trace.name}.*"))]
    while left:
        text = trace.with_name(f"{trace.name}.{left.pop()}").read_text(encoding="utf-8", errors="replace")
        calls = re.findall(r"^(v?fork|clone3?)\((.*)\) += ([1-9]\d*)$", text, re.MULTILINE)
        for call, flags, child in calls:
            if call.startswith("clone") and "CLONE_THREAD" in flags:
                left.append(int(child))
                continue
            became = trace.with_name(f"{trace.name}.{child}").read_text(encoding="utf-8", errors="replace")
            programs = re.findall(r'^execve\("[^"]*?([^"/]+)".*\) += 0$', became, re.MULTILINE)
            found[programs[0] if programs else "fork"] += 1
            if not programs or programs[0] not in {"ssh", "sh"}:
                left.append(int(child))
    return found
