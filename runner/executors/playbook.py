"""Does an action by an Ansible playbook and turns what its channel says into a result per host."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from runner import errors
from runner.ansible_settings import ansible_environment
from runner.canonical import canonical_json, digest_of
from runner.clock import SystemClock
from runner.display import TRUNCATED
from runner.executors import processes
from runner.executors.base import ActionRequest, Failure, HostResult, HostStatus, Progress, ProgressEvent
from runner.executors.connections import Connections, own_folder
from runner.files import make_private_dir, write_once

_POLL_SECONDS = 0.2
_MAX_LINE = 16_000_000
_PIECE = 1_000_000


class PlaybookExecutor:
    """Runs playbooks of one checkout; over the connections of one run, if given."""

    def __init__(self, root: Path, connections: Connections | None = None) -> None:
        self._root = root
        self._connections = connections

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
        kept = self._connections
        with kept.folder(changes=request.changes) if kept else own_folder() as sockets:
            child = processes.start(
                [sys.executable, "-m", "runner.executors.ansible_process", str(call)],
                cwd=self._root,
                environment=self._environment(work, channel, sockets),
                log=log,
            )
            with child:
                try:
                    for line in _follow(channel, child):
                        told.take(line, progress)
                finally:
                    # A warden that ended well has ended all of it itself, and looking for it takes long.
                    if child.returncode != 0:
                        processes.end_marked(processes.mark(work))
        if not told.anything:
            raise errors.StepFailedError(
                f"{request.playbook.name} did not start: {_tail(log)}", hint=f"its output is in {log}"
            )
        return told.results()

    def _call(self, request: ActionRequest) -> dict[str, Any]:
        # A role decides by itself what it does without the variable: nothing.
        allowed = (
            {} if request.allowed_cures is None else {"rawat_allowed_cures": list(request.allowed_cures)}
        )
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
                "rawat_claim": {**request.claim, "controller": _controller(self._root)},
                "rawat_ended": list(request.ended),
                "rawat_open": list(request.open_runs),
                "rawat_changes": request.changes,
                "rawat_break": str(request.word or ""),
                "rawat_action": f"{request.step}-{request.attempt}-{request.part}",
                "rawat_controllers": list(request.controllers),
                "rawat_controller_boot": SystemClock().now().boot,
                "rawat_earlier": str(request.earlier or ""),
                "rawat_reprobe": request.reprobe,
                "rawat_conffiles": request.conffiles,
                **allowed,
            },
        }

    def _environment(self, work: Path, channel: Path, sockets: Path) -> dict[str, str]:
        return {
            **ansible_environment(self._root, make_private_dir(work / "home"), sockets),
            "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).parent.parent / "callback_plugins"),
            "ANSIBLE_CALLBACKS_ENABLED": "rawat_channel",
            "RAWAT_CHANNEL": str(channel),
            processes.MARK: processes.mark(work),
        }


def _controller(root: Path) -> str:
    """Return who works on hosts from here: the machine's name, and a digest that no other checkout has."""
    name = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname())
    try:
        machine = Path("/etc/machine-id").read_text(encoding="ascii").strip()
    except OSError:
        machine = ""
    return f"{name}-{digest_of([machine, str(root)])[:12]}"


def _follow(channel: Path, child: subprocess.Popen[bytes]) -> Iterator[bytes]:
    """Yield the channel's lines as they come, until the child has ended and all is read."""
    rest = b""
    position = 0
    while True:
        ended = processes.ended_within(child, _POLL_SECONDS)
        while piece := _piece(channel, position):
            position += len(piece)
            *lines, rest = (rest + piece).split(b"\n")
            yield from lines
            if len(rest) > _MAX_LINE:
                # Our callback writes no such line. What follows it is read, and fails to be understood.
                yield rest
                rest = b""
        if ended:
            # A line without its end was cut off: it is told as one that cannot be read.
            yield from [rest] if rest else []
            return


def _piece(channel: Path, position: int) -> bytes:
    """Return what stands at a position of the channel, a part of limited size at a time."""
    if not channel.exists():
        return b""
    with channel.open("rb") as stream:
        stream.seek(position)
        return stream.read(_PIECE)


def _tail(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else "it printed nothing"


class _Told:
    """What the channel has said so far. Only what was started on a host can come to something there."""

    def __init__(self, request: ActionRequest) -> None:
        self._request = request
        self._stats: dict[str, dict[str, int]] | None = None
        self._evidence: dict[str, dict[str, Any]] = {}
        self._failures: dict[str, tuple[HostStatus, Failure]] = {}
        self._worked: set[str] = set()
        self._task_done: set[str] = set()
        self._under_way: dict[str, set[str]] = {host: set() for host in request.hosts}
        self._refused: dict[str, int] = {}
        self._cut: dict[str, Failure] = {}
        self._unreadable = 0
        self.anything = False

    def take(self, line: bytes, progress: Progress) -> None:
        try:
            said = json.loads(line)
            kind = said["kind"]
            if kind in {"start", "host", "evidence", "evidence_cut"}:
                self._of_host(kind, said, progress)
            elif kind == "task":
                self._task_done = set()
                progress(ProgressEvent("task", said["name"], total=len(self._request.hosts)))
            elif kind == "end":
                self._stats = said["hosts"]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            self._unreadable += 1
            return
        self.anything = True

    def _of_host(self, kind: str, said: dict[str, Any], progress: Progress) -> None:
        host = said["host"]
        if host not in self._under_way:
            return
        if kind == "start":
            self._under_way[host].add(said["id"])
        elif said["id"] not in self._under_way[host]:
            self._refused[host] = self._refused.get(host, 0) + 1
        elif kind == "evidence":
            self._evidence.setdefault(host, {}).update(said["data"])
        elif kind == "evidence_cut":
            why = f"{TRUNCATED} what it published is {said['problem']} and was left out"
            self._cut[host] = Failure(said["task"], why)
        else:
            self._ended(said, progress)

    def _ended(self, said: dict[str, Any], progress: Progress) -> None:
        host, status = said["host"], said["status"]
        self._under_way[host].discard(said["id"])
        self._task_done.add(host)
        if status in {"failed", "unreachable"}:
            failure = Failure(said["task"], said.get("message", ""))
            self._failures[host] = (status, failure)
            if TRUNCATED in failure.message:
                self._cut[host] = failure
        else:
            self._worked.add(host)
        done, total = len(self._task_done), len(self._request.hosts)
        progress(ProgressEvent("host", said["task"], host=host, status=status, done=done, total=total))

    def results(self) -> tuple[HostResult, ...]:
        return tuple(self._result(host) for host in self._request.hosts)

    def _result(self, host: str) -> HostResult:
        status, failure = self._distrusted(host) or self._status(host)
        return HostResult(host, status, self._evidence.get(host, {}), failure)

    def _distrusted(self, host: str) -> tuple[HostStatus, Failure] | None:
        """Return what a host comes to whose results are not what they have to be."""
        if host in self._refused:
            count = self._refused[host]
            return "unknown", Failure(
                "", f"{count} results of tasks that were not started there were refused"
            )
        if host in self._cut:
            # The host may still be at work on what it was told to change.
            return ("unknown" if self._request.changes else "failed"), self._cut[host]
        if host in self._failures or self._stats is None:
            return None
        if self._unreadable:
            return "unknown", Failure("", f"{self._unreadable} lines about the hosts could not be read")
        if self._under_way[host]:
            return "unknown", Failure("", "a task was started there and never told what it came to")
        return None

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
