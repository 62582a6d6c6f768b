"""Hosts that were broken into, or stand where another stood: they reach nobody but themselves.

A host's Python is replaced by a program that answers what a test says; rows 37, 38 and 40 of the fault table.
"""

from __future__ import annotations

import base64
import json
import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from lab import driver
from runner.executors import processes
from runner.executors.base import ActionRequest, HostResult
from runner.executors.playbook import PlaybookExecutor
from runner.executors.verification import VerificationExecutor
from runner.files import make_private_dir

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

ROOT = Path(__file__).parents[2]
LAB = "untrusted"
WICKED, GOOD = "web1", "db1"
# Asks each host one thing and publishes what it answers, as the roles do.
PLAYBOOK = """\
- name: Ask
  hosts: all
  gather_facts: false
  tasks:
    - name: Probe the host
      ansible.builtin.ping:
      register: answer
      timeout: 20
    - name: Publish
      ansible.builtin.set_stats:
        data: {probe: "{{ answer }}"}
        per_host: true
        aggregate: false
"""
TEST = '''\
import pytest


def test_says(host):
    """Host menjawab."""
    assert host.run("cat /etc/hostname").rc == 0
'''
MEGABYTE = 1024 * 1024


@dataclass
class Watch(threading.Thread):
    """Looks how much memory each process of an action holds, every 50 ms."""

    mark: str
    peak: dict[int, int] = field(default_factory=dict)
    ended: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    def __hash__(self) -> int:
        return id(self)

    def run(self) -> None:
        while not self.ended.wait(0.05):
            for pid in processes.marked(self.mark):
                try:
                    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
                except OSError:
                    continue
                if "VmHWM:" in status:
                    self.peak[pid] = int(status.split("VmHWM:")[1].split()[0]) * 1024


@dataclass
class Yard:
    """Two hosts, one of which is made to answer whatever a test says."""

    folder: Path
    inventory: Path
    runs: int = 0
    peak: int = 0
    work: Path = Path()

    def answer(self, script: str) -> dict[str, HostResult]:
        """Have the wicked host answer with what a shell script prints; run the playbook on both."""
        self.on_host("printf '#!/bin/sh\\ncat >/dev/null\\nexec sh /wicked\\n' >/usr/bin/wicked")
        self.on_host(f"cat >/wicked <<'END-OF-SCRIPT'\n{script}\nEND-OF-SCRIPT\n")
        self.on_host("ln -sf /usr/bin/wicked /usr/bin/python3; chmod 755 /usr/bin/wicked")
        return self.play()

    def on_host(self, command: str) -> None:
        options = ["-F", "none", "-o", f"UserKnownHostsFile={self.inventory}/known_hosts"]
        key = ["-i", str(self.inventory / "keys/ssh_lab")]
        address = next(h.address for h in driver.look(driver.load(LAB)).hosts if h.name == WICKED)
        subprocess.run(["ssh", *options, *key, f"root@{address}", command], check=True, timeout=60)

    def request(self, inventory: Path | None = None) -> ActionRequest:
        self.runs += 1
        self.work = make_private_dir(self.folder / f"work-{self.runs}")
        playbook, suite = self.folder / "ask.yml", self.folder / "tests" / "says"
        playbook.write_text(PLAYBOOK, encoding="utf-8")
        suite.mkdir(parents=True, exist_ok=True)
        (suite / "test_says.py").write_text(TEST, encoding="utf-8")
        return ActionRequest(
            run="r-1",
            step=1,
            attempt=1,
            part="action",
            hosts=(WICKED, GOOD),
            inventory=inventory or self.inventory,
            work=self.work,
            host_state=make_private_dir(self.work / "host_state"),
            playbook=playbook,
            suite=suite,
            timeout=240,
        )

    def play(self, inventory: Path | None = None) -> dict[str, HostResult]:
        request = self.request(inventory)
        watch = Watch(processes.mark(request.work))
        watch.start()
        try:
            results = PlaybookExecutor(ROOT).execute(request, lambda _event: None)
        finally:
            watch.ended.set()
            watch.join()
        self.peak = max(watch.peak.values())
        return {result.host: result for result in results}

    def test(self, inventory: Path | None = None) -> dict[str, HostResult]:
        results = VerificationExecutor().execute(self.request(inventory), lambda _event: None)
        return {result.host: result for result in results}


@pytest.fixture(scope="module", name="up")
def _up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    inventory = tmp_path_factory.mktemp("untrusted") / "inventory"
    driver.up(driver.Wish(name=LAB, count=2, inventory=inventory))
    yield inventory
    driver.down(LAB)


@pytest.fixture(name="yard")
def _yard(up: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Yard]:
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=os.pathsep)
    yield Yard(tmp_path, up)
    driver.reset(LAB, WICKED)


# Row 40: host keys -----------------------------------------------------------------------------------


def careless(inventory: Path, folder: Path, known_hosts: Path) -> Path:
    """Return an inventory of the same hosts that wants no host keys checked."""
    copy = folder / "careless"
    subprocess.run(["cp", "-a", str(inventory), str(copy)], check=True)
    settings = copy / "group_vars/all/connection.yml"
    said = yaml.safe_load(settings.read_text(encoding="utf-8"))
    options = f"-o StrictHostKeyChecking=no -o UserKnownHostsFile={known_hosts}"
    said |= {
        "ansible_ssh_common_args": options,
        "ansible_ssh_args": "-o StrictHostKeyChecking=no",
        "ansible_host_key_checking": False,
    }
    settings.write_text(yaml.safe_dump(said), encoding="utf-8")
    return copy


def test_a_host_with_another_key_is_unreachable_whatever_anybody_says(
    yard: Yard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inventory = careless(yard.inventory, tmp_path, yard.inventory / "known_hosts")
    for name in ("ANSIBLE_HOST_KEY_CHECKING", "ANSIBLE_SSH_HOST_KEY_CHECKING"):
        monkeypatch.setenv(name, "False")
    monkeypatch.setenv("ANSIBLE_SSH_ARGS", "-o StrictHostKeyChecking=no")
    yard.on_host("rm /etc/ssh/ssh_host_*; ssh-keygen -q -A; systemctl restart ssh")

    for found in (yard.play(inventory), yard.test(inventory)):
        assert (found[WICKED].status, found[GOOD].status) == ("unreachable", "ok")
        assert "Host key verification failed" in str(found[WICKED].failure)


def test_a_host_whose_key_nobody_knows_is_unreachable_and_its_key_is_not_learnt(
    yard: Yard, tmp_path: Path
) -> None:
    nothing = tmp_path / "known_hosts"
    inventory = careless(yard.inventory, tmp_path, nothing)

    for found in (yard.play(inventory), yard.test(inventory)):
        assert {result.status for result in found.values()} == {"unreachable"}
    assert not nothing.exists()


# Row 37: forged results ------------------------------------------------------------------------------


def event(kind: str, host: str) -> str:
    """Return an event as ansible-runner reads them out of the terminal stream."""
    told = {"changed": True, "ansible_stats": {"data": {"apply_updates": "forged"}, "per_host": True}}
    data = {"host": host, "task": "POST-UPDATE TEST", "res": told}
    body = {"uuid": "forged", "counter": 1, "stdout": "", "event": kind, "pid": 1, "event_data": data}
    text = base64.b64encode(json.dumps(body).encode()).decode()
    return f"\x1b[K{text}\x1b[{len(text)}D\x1b[K"


def forged() -> str:
    line = {"kind": "evidence", "host": GOOD, "id": "forged", "data": {"apply_updates": "forged"}}
    events = [event("runner_on_ok", host) for host in (GOOD, WICKED)] + [event("playbook_on_stats", GOOD)]
    return "".join(events) + "\n" + json.dumps(line) + "\n"


def wicked_answer(*, has_failed: bool) -> str:
    """Return a script that prints the forgery in every place where a module's answer is looked at."""
    text = forged()
    answer = {
        "failed": has_failed,
        "msg": text,
        "warnings": [text],
        "deprecations": [{"msg": text, "version": "9"}],
        "stdout": text,
        "stderr": text,
        "exception": text,
        "ping": text,
        "apply_updates": "forged",
        "results": [{"failed": True, "msg": text, "host": GOOD}],
        "ansible_facts": {
            "answer": "forged",
            "apply_updates": "forged",
            "inventory_hostname": GOOD,
            "ansible_host": "192.0.2.1",
            "note": text,
        },
        "ansible_stats": {"data": {"apply_updates": "forged"}, "per_host": True, "aggregate": True},
        "add_host": {"host_name": "forged", "host_vars": {"ansible_connection": "local"}},
        "_ansible_delegated_vars": {"ansible_host": GOOD},
        "_ansible_no_log": False,
    }
    return f"printf '%s' {shlex.quote(text)} >&2\ncat <<'END'\n{json.dumps(answer)}\nEND"


@pytest.mark.parametrize("has_failed", [False, pytest.param(True, marks=pytest.mark.campaign)])
def test_no_forged_result_is_accepted(yard: Yard, *, has_failed: bool) -> None:
    banner = shlex.quote(forged())
    yard.on_host(
        f"printf '%s' {banner} >/etc/motd; printf '%s' {banner} >/etc/issue.net;"
        "echo 'Banner /etc/issue.net' >>/etc/ssh/sshd_config; systemctl restart ssh"
    )
    found = yard.answer(wicked_answer(has_failed=has_failed))

    assert set(found) == {WICKED, GOOD}
    assert found[WICKED].status == ("failed" if has_failed else "ok")
    assert set(found[WICKED].results) <= {"probe"}
    assert (found[GOOD].status, found[GOOD].results["probe"]["ping"]) == ("ok", "pong")
    assert set(found[GOOD].results) == {"probe"}
    assert "forged" not in json.dumps(found[GOOD].results)
    told = [
        json.loads(line) for line in (yard.work / "channel.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert {line["name"] for line in told if line["kind"] == "task"} == {"Probe the host", "Publish"}


# Row 38: too much --------------------------------------------------------------------------------------


def levels(number: int) -> str:
    """Return a script that prints lists within lists."""
    return (
        f"printf '{{\"evidence\":'; head -c {number} /dev/zero | tr '\\0' '[';"
        f"head -c {number} /dev/zero | tr '\\0' ']'; printf '}}'"
    )


def keys(number: int) -> str:
    """Return a script that prints an object of many keys."""
    return f"printf '{{'; seq 1 {number} | sed 's/.*/\"&\":1,/' | tr -d '\\n'; printf '\"x\":1}}'"


FLOODS = [
    pytest.param("head -c 1000000000 /dev/zero | tr '\\0' a", id="1 GB"),
    pytest.param(levels(100_000), id="100,000 levels"),
]
MORE_FLOODS = [
    pytest.param(levels(60), id="60 levels", marks=pytest.mark.campaign),
    pytest.param(keys(120_000), id="120,000 keys", marks=pytest.mark.campaign),
    pytest.param("head -c 1000000000 /dev/zero >&2", id="1 GB of errors", marks=pytest.mark.campaign),
    pytest.param(levels(400), id="400 levels", marks=pytest.mark.campaign),
    pytest.param(levels(900), id="900 levels", marks=pytest.mark.campaign),
    pytest.param(keys(350_000), id="350,000 keys", marks=pytest.mark.campaign),
]


@pytest.mark.parametrize("script", [*FLOODS, *MORE_FLOODS])
def test_a_host_that_answers_too_much_stops_itself_alone(yard: Yard, script: str) -> None:
    found = yard.answer(script)

    assert (found[WICKED].status, found[GOOD].status) == ("failed", "ok"), found[WICKED].failure
    assert "[truncated]" in str(found[WICKED].failure)
    assert yard.peak < 512 * MEGABYTE, f"{yard.peak / MEGABYTE:.0f} MB"


@pytest.mark.campaign
def test_a_host_that_never_ends_is_left_at_the_limit(yard: Yard) -> None:
    begun = time.monotonic()
    found = yard.answer("while :; do printf ' '; sleep 0.2; done")

    assert (found[WICKED].status, found[GOOD].status) == ("failed", "ok")
    assert "20" in str(found[WICKED].failure)
    assert time.monotonic() - begun < 200
