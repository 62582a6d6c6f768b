"""Does an action by an Ansible playbook and turns what its channel says into a result per host."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from runner import errors
from runner.canonical import canonical_json
from runner.executors import processes
from runner.executors.base import ActionRequest, Failure, HostResult, HostStatus, Progress, ProgressEvent
from runner.files import make_private_dir, write_once

# All that Ansible and ssh need of the operator's environment; nothing else reaches it or its artifacts.
_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TERM", "TZ", "SSH_AUTH_SOCK", "USER", "LOGNAME")
_POLL_SECONDS = 0.2
_MAX_LINE = 16_000_000


class PlaybookExecutor:
    """Runs playbooks of one checkout."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def execute(self, request: ActionRequest, progress: Progress) -> tuple[HostResult, ...]:
        """Run the request's playbook on its hosts."""
        if request.playbook is None:
            raise ValueError("a playbook action names its playbook")
        work = make_private_dir(request.work)
        channel = work / "channel.jsonl"
        channel.unlink(missing_ok=True)
        call = write_once(work / "request.json", canonical_json(self._call(request)))
        log = work / "ansible.log"
        told = _Told(request)
        child = processes.start(
            [sys.executable, "-m", "runner.executors.ansible_process", str(call)],
            cwd=self._root,
            environment=self._environment(work, channel),
            log=log,
        )
        with child:
            try:
                for line in _follow(channel, child):
                    told.take(line, progress)
            finally:
                processes.end_marked(processes.mark(work))
        if not told.anything:
            raise errors.StepFailedError(
                f"{request.playbook.name} did not start: {_tail(log)}", hint=f"its output is in {log}"
            )
        return told.results()

    def _call(self, request: ActionRequest) -> dict[str, Any]:
        return {
            "work": str(request.work),
            "root": str(self._root),
            "playbook": str(request.playbook),
            "inventory": str(request.inventory),
            "limit": ",".join(request.hosts),
            "timeout": int(request.timeout),
            "vars": {
                "rawat_run": request.run,
                "rawat_plan": str(request.plan or ""),
                "rawat_host_state": str(request.host_state),
                "rawat_reattach": request.reattach,
            },
        }

    def _environment(self, work: Path, channel: Path) -> dict[str, str]:
        kept = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
        return {
            **kept,
            "PATH": f"{Path(sys.executable).parent}:{kept.get('PATH', os.defpath)}",
            "PYTHONPATH": str(self._root),
            "PYTHONDONTWRITEBYTECODE": "1",
            "ANSIBLE_CONFIG": str(self._root / "ansible.cfg"),
            "ANSIBLE_HOST_KEY_CHECKING": "True",
            "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).parent.parent / "callback_plugins"),
            "ANSIBLE_CALLBACKS_ENABLED": "rawat_channel",
            "RAWAT_CHANNEL": str(channel),
            processes.MARK: processes.mark(work),
        }


def _follow(channel: Path, child: subprocess.Popen[bytes]) -> Iterator[bytes]:
    """Yield the channel's lines as they come, until the child has ended and all is read."""
    rest = b""
    position = 0
    while True:
        ended = child.poll() is not None
        if channel.exists():
            with channel.open("rb") as stream:
                stream.seek(position)
                rest += stream.read()
                position = stream.tell()
        *lines, rest = rest.split(b"\n")
        yield from (line for line in lines if len(line) <= _MAX_LINE)
        if ended:
            return
        time.sleep(_POLL_SECONDS)


def _tail(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it printed nothing"


class _Told:
    """What the channel has said so far."""

    def __init__(self, request: ActionRequest) -> None:
        self._request = request
        self._stats: dict[str, dict[str, int]] | None = None
        self._evidence: dict[str, dict[str, Any]] = {}
        self._failures: dict[str, tuple[HostStatus, Failure]] = {}
        self._worked: set[str] = set()
        self._task_done: set[str] = set()
        self.anything = False

    def take(self, line: bytes, progress: Progress) -> None:
        said = json.loads(line)
        self.anything = True
        hosts = self._request.hosts
        if said["kind"] == "task":
            self._task_done = set()
            progress(ProgressEvent("task", said["name"], total=len(hosts)))
        elif said["kind"] == "end":
            self._stats = said["hosts"]
        elif said["host"] not in hosts:
            return
        elif said["kind"] == "evidence":
            self._evidence.setdefault(said["host"], {}).update(said["data"])
        else:
            self._host(said, progress)

    def _host(self, said: dict[str, Any], progress: Progress) -> None:
        host, status = said["host"], said["status"]
        self._task_done.add(host)
        if status in {"failed", "unreachable"}:
            self._failures[host] = (status, Failure(said["task"], said.get("message", "")))
        else:
            self._worked.add(host)
        done, total = len(self._task_done), len(self._request.hosts)
        progress(ProgressEvent("host", said["task"], host=host, status=status, done=done, total=total))

    def results(self) -> tuple[HostResult, ...]:
        return tuple(self._result(host) for host in self._request.hosts)

    def _result(self, host: str) -> HostResult:
        status, failure = self._status(host)
        return HostResult(host, status, self._evidence.get(host, {}), failure)

    def _status(self, host: str) -> tuple[HostStatus, Failure | None]:
        failed = self._failures.get(host)
        stats = (self._stats or {}).get(host)
        if stats is None:
            said = "the controller's work was cut off" if self._stats is None else "Ansible did nothing there"
            if failed is None or (failed[0] == "unreachable" and self._request.changes):
                return "unknown", failed[1] if failed else Failure("", said)
            return failed
        if stats["unreachable"]:
            silent = self._request.changes and host in self._worked
            return ("unknown" if silent else "unreachable"), failed[1] if failed else None
        if stats["failures"]:
            return "failed", failed[1] if failed else None
        return "ok", None
