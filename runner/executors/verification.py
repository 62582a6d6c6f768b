"""Tests hosts with a testinfra suite and turns its results into a result per host.

Rules it keeps:
    - Not tested is never a pass: a host without a test carried out, or with tests cut off, is ``unknown``.
    - A failed test outweighs a lost connection; a lost connection outweighs the tests passed before it.
    - testinfra takes one ``ansible://`` per host: ``ansible://a,b`` and ``a:b`` skip hosts without a word.
      It does not evaluate templates in an inventory: it gets one with the connections written out.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.addresses import address_problem
from runner.ansible_settings import ansible_environment, ssh_options
from runner.canonical import canonical_json
from runner.display import TRUNCATED, display
from runner.executors import processes
from runner.executors.base import ActionRequest, Failure, HostResult, HostStatus, Progress, ProgressEvent
from runner.executors.connections import Connections, own_folder
from runner.executors.junit import MAX_MESSAGE, TEST_ID, HostTest, ResultsError, read_junit
from runner.files import make_private_dir, write_once

_CONNECTION = (
    "ansible_host",
    "ansible_port",
    "ansible_user",
    "ansible_connection",
    "ansible_private_key_file",
    "ansible_ssh_private_key_file",
    "ansible_ssh_common_args",
    "ansible_ssh_extra_args",
    "ansible_become",
    "ansible_become_user",
)
_SSH_ARGUMENTS = ("ansible_ssh_common_args", "ansible_ssh_extra_args")
# The playbooks say `become: true`; testinfra only knows what the inventory says. On this machine no user is
# logged in to: it is whoever runs Rawat.
_BECOME_HERE = "true" if os.geteuid() != 0 else "none"
_BECOME_THERE = "true if its.ansible_user | default('root') != 'root' else none"
_IS_HERE = "its.ansible_connection | default('ssh') == 'local'"
_DEFAULTS = {
    "ansible_host": "host",
    "ansible_become": f"({_BECOME_HERE}) if {_IS_HERE} else ({_BECOME_THERE})",
}
_PROGRESS = re.compile(r"::(?P<id>\w+\S*\[ansible://[^\]]+\]) (?P<outcome>PASSED|FAILED|ERROR|SKIPPED)")
_PYTEST_DECIDED = (0, 1)
_POLL_SECONDS = 0.2
_OUT_OF_TIME = "the tests were not done in time"
PLUGINS = ("testinfra.plugin", "runner.executors.suite_limits", "runner.executors.suite_sessions")
_MAX_SHARDS = 4
_HOSTS_PER_SHARD = 8


@dataclass
class _Shard:
    """Some hosts, tested one after another by one pytest."""

    hosts: tuple[str, ...]
    folder: Path
    process: subprocess.Popen[bytes]
    told: int = 0
    problem: str = ""

    @property
    def junit(self) -> Path:
        return self.folder / "junit.xml"

    @property
    def log(self) -> Path:
        return self.folder / "pytest.log"


class VerificationExecutor:
    """Runs test suites (``tests/<suite>`` of a checkout); over the connections of one run, if given."""

    def __init__(self, connections: Connections | None = None) -> None:
        self._connections = connections

    def execute(self, request: ActionRequest, progress: Progress) -> tuple[HostResult, ...]:
        """Run the request's suite on its hosts."""
        if request.suite is None:
            raise ValueError("a verification names its suite")
        kept = self._connections
        with kept.folder(changes=request.changes) if kept else own_folder() as sockets:
            return self._execute(request, progress, sockets)

    @staticmethod
    def _execute(request: ActionRequest, progress: Progress, sockets: Path) -> tuple[HostResult, ...]:
        deadline = time.monotonic() + request.timeout
        work = make_private_dir(request.work)
        environment = _environment(request, sockets)
        try:
            inventory = _write_connections(request, environment, sockets, deadline)
            shards = [
                _start(request, inventory, hosts, work / f"tests-{number}", environment)
                for number, hosts in enumerate(_split(request.hosts))
            ]
            _watch(shards, deadline, progress, len(request.hosts))
        except ResultsError as error:
            return tuple(_unknown(host, str(error)) for host in request.hosts)
        except subprocess.TimeoutExpired:
            return tuple(_unknown(host, _OUT_OF_TIME) for host in request.hosts)
        finally:
            processes.end_marked(processes.mark(request.work))
        found = {host: result for shard in shards for host, result in _judge_shard(shard).items()}
        return tuple(found[host] for host in request.hosts)


# Preparing -----------------------------------------------------------------------------------------


def _environment(request: ActionRequest, sockets: Path) -> dict[str, str]:
    return {
        **ansible_environment(_root(request), make_private_dir(request.work / "home"), sockets),
        # Plugins that happen to be installed on the controller may reorder, repeat or skip tests.
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "RAWAT_HOST_STATE": str(request.host_state.resolve()),
        "RAWAT_PHASE": request.phase,
        processes.MARK: processes.mark(request.work),
    }


def _root(request: ActionRequest) -> Path:
    """Return the checkout of a suite, which is ``tests/<suite>`` in it."""
    if request.suite is None:
        raise ValueError("a verification names its suite")
    return request.suite.resolve().parents[1]


def _write_connections(
    request: ActionRequest, environment: dict[str, str], sockets: Path, deadline: float
) -> Path:
    """Write an inventory with nothing but evaluated connection settings of the hosts, and no secret."""
    # Asked of one host for all: each host that is asked would cost a process.
    wanted = ", ".join(
        f"'{name}': its.{name} | default({_DEFAULTS.get(name, 'none')})" for name in _CONNECTION
    )
    each = "{% set its = hostvars[host] %}{{ [host, {" + wanted + "}] | to_json }}"
    question = (
        "msg=[{% for host in rawat_hosts if host in groups.all %}"
        + each
        + "{{ ',' if not loop.last }}{% endfor %}]"
    )
    ansible = [sys.executable, "-m", "ansible", "adhoc", request.hosts[0], "-i", str(request.inventory)]
    done = subprocess.run(
        [
            *ansible,
            "-e",
            json.dumps({"rawat_hosts": request.hosts}),
            "-m",
            "ansible.builtin.debug",
            "-a",
            question,
        ],
        cwd=_root(request),
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        timeout=max(1.0, deadline - time.monotonic()),
    )
    answers = _answers(done.stdout.decode(errors="replace"))
    missing = [host for host in request.hosts if host not in answers]
    if missing:
        said = display((done.stderr + done.stdout).decode(errors="replace").strip()[-MAX_MESSAGE:])
        raise ResultsError(f"the inventory does not say how to reach {missing[0]}: {said}")
    hosts = {host: _connection(answers[host], sockets) for host in request.hosts}
    return write_once(request.work / "connections.json", canonical_json({"all": {"hosts": hosts}}))


def _connection(said: dict[str, Any], sockets: Path) -> dict[str, Any]:
    """Return the settings of a connection with our options first, in a form that no shell takes apart."""
    problem = address_problem(said.get("ansible_host"), said.get("ansible_user"))
    if problem:
        raise ResultsError(problem)
    kept = {name: value for name, value in said.items() if value is not None}
    # testinfra puts these words into a line for the shell as they are.
    words = [word for name in _SSH_ARGUMENTS for word in shlex.split(str(kept.pop(name, "")))]
    strict = [word for option in ssh_options(sockets) for word in ("-o", option)]
    return {**kept, "ansible_ssh_common_args": shlex.join([*strict, *words])}


def _answers(text: str) -> dict[str, dict[str, Any]]:
    """Read the answer ``host | SUCCESS => {json}`` of ``ansible``: what is said of each host."""
    match = re.search(r"^\S+ \| SUCCESS => ", text, re.MULTILINE)
    if match is None:
        return {}
    answer, _ = json.JSONDecoder().raw_decode(text, match.end())
    return dict(json.loads(answer["msg"]))


def _split(hosts: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Spread the hosts over as many pytest processes as pay for their start."""
    shards = min(_MAX_SHARDS, -(-len(hosts) // _HOSTS_PER_SHARD))
    yield from (hosts[number::shards] for number in range(shards))


# Running -------------------------------------------------------------------------------------------


def _start(
    request: ActionRequest, inventory: Path, hosts: tuple[str, ...], folder: Path, environment: dict[str, str]
) -> _Shard:
    make_private_dir(folder)
    junit = folder / "junit.xml"
    junit.unlink(missing_ok=True)
    specs = ",".join(f"ansible://{host}" for host in hosts)
    options = [
        f"--hosts={specs}",
        f"--ansible-inventory={inventory.resolve()}",
        f"--junitxml={junit.resolve()}",
    ]
    plugins = [word for name in (*PLUGINS, "no:cacheprovider") for word in ("-p", name)]
    process = processes.start(
        [sys.executable, "-m", "pytest", str(request.suite), *plugins, *options, "--verbose", "--tb=no"],
        cwd=_root(request),
        environment={**environment, processes.MARK: processes.mark(folder)},
        log=folder / "pytest.log",
    )
    return _Shard(hosts, folder, process)


def _watch(shards: list[_Shard], deadline: float, progress: Progress, total: int) -> None:
    """Tell how the tests go until all have ended, or end them when their time is over."""
    try:
        while any(shard.process.poll() is None for shard in shards) and time.monotonic() < deadline:
            _tell(shards, progress, total)
            time.sleep(_POLL_SECONDS)
        _tell(shards, progress, total)
    finally:
        for shard in shards:
            if shard.process.poll() is None:
                shard.problem = _OUT_OF_TIME
            with shard.process:
                pass  # closes its standard input, which ends what is not over by itself


def _tell(shards: list[_Shard], progress: Progress, total: int) -> None:
    for shard in shards:
        for match in list(_PROGRESS.finditer(shard.log.read_text(errors="replace")))[shard.told :]:
            shard.told += 1
            test = TEST_ID.match(match.group("id"))
            if test:
                status = "ok" if match.group("outcome") in {"PASSED", "SKIPPED"} else "failed"
                progress(ProgressEvent("host", test["name"], host=test["host"], status=status, total=total))


# Judging -------------------------------------------------------------------------------------------


def _judge_shard(shard: _Shard) -> dict[str, HostResult]:
    try:
        tests = _results(shard)
    except ResultsError as error:
        return {host: _unknown(host, str(error)) for host in shard.hosts}
    return {host: judge(host, tests.get(host, [])) for host in shard.hosts}


def _results(shard: _Shard) -> dict[str, list[HostTest]]:
    if shard.problem:
        raise ResultsError(shard.problem)
    ended = shard.process.returncode
    if ended not in _PYTEST_DECIDED:
        raise ResultsError(f"the tests did not run (pytest ended with {ended}): {_tail(shard)}")
    return read_junit(shard.junit)


def judge(host: str, tests: list[HostTest]) -> HostResult:
    """Return what the tests say about a host."""
    failed = [test for test in tests if test.outcome in {"failed", "error"} and not test.is_lost]
    lost = [test for test in tests if test.is_lost]
    passed = [test for test in tests if test.outcome == "passed"]
    evidence = {
        "tests": [test.as_evidence() for test in tests],
        "passed": len(passed),
        "failed": len(failed) + len(lost),
    }
    results = {"verification": evidence} if tests else {}
    if failed:
        return HostResult(host, "failed", results, Failure(failed[0].title, failed[0].message))
    if lost:
        # A host that sent too much, or never came to an end, was reached: what it is like is not known.
        status: HostStatus = "unknown" if TRUNCATED in lost[0].message else "unreachable"
        return HostResult(host, status, results, Failure(lost[0].title, lost[0].message))
    if not passed:
        return HostResult(host, "unknown", results, Failure("", "no test was carried out on this host"))
    return HostResult(host, "ok", results)


def _unknown(host: str, why: str) -> HostResult:
    return HostResult(host, "unknown", {}, Failure("", display(why, longest=MAX_MESSAGE)))


def _tail(shard: _Shard) -> str:
    lines = [line for line in shard.log.read_text(errors="replace").splitlines() if line.strip()]
    return display(" / ".join(lines[-3:]), longest=MAX_MESSAGE)
