"""Ansible callback: tells the runner what happens, over a file of its own.

ansible-runner reads its events out of the terminal stream, in which text of the managed hosts travels
too, so a host could forge them. This channel is a file that only the controller's process writes.
Evidence is taken from actions that make it on the controller (``set_stats``), and kept apart per host.
Every task is told when it starts on a host: what ends without having started is not believed.
Sizes are capped here, before anything is written; what does not fit is told as left out.
"""

from __future__ import annotations

import gc
import json
import os
import reprlib
from typing import Any

from ansible.plugins.callback import CallbackBase
from ansible.plugins.loader import connection_loader, filter_loader, test_loader

DOCUMENTATION = """
    name: rawat_channel
    type: notification
    short_description: Tells Rawat's runner what happens
    description:
      - Writes one JSON line per task start, host start, host result, published evidence and end of play
        to the file named by E(RAWAT_CHANNEL).
    options: {}
"""

# Actions that make evidence here, on the controller: what a host returns passes none of them unjudged.
_PUBLISHING = frozenset(
    {"set_stats", "ansible.builtin.set_stats", "ansible.legacy.set_stats", "check_host_probe"}
)
_MAX_MESSAGE = 4000
# Said first, because ssh says it last, below a screenful.
_OTHER_KEY = "Host key verification failed: it shows another key than is known of it, or none is known. "
_MAX_NAME = 1000
# Of one task's evidence on one host. A plan of 2,000 updates needs about 1 MB.
_MAX_BYTES = 4_000_000
_MAX_VALUES = 100_000
_MAX_DEPTH = 12


class CallbackModule(CallbackBase):  # type: ignore[misc]  # ansible-core ships no types
    """Writes the channel."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "rawat_channel"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        path = os.environ["RAWAT_CHANNEL"]
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._channel = os.open(path, flags, 0o600)

    def _tell(self, kind: str, **fields: Any) -> None:
        line = json.dumps({"kind": kind, **fields}) + "\n"
        os.write(self._channel, line.encode())

    def v2_playbook_on_play_start(self, play: Any) -> None:
        _prepare_to_fork()

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self._tell("task", name=_name(task))

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        self._tell("task", name=_name(task))

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        self._tell("start", host=host.get_name(), id=str(task._uuid))

    def v2_runner_on_ok(self, result: Any) -> None:
        published = result.result.get("ansible_stats")
        if result.task.action in _PUBLISHING and published and published.get("per_host"):
            self._evidence(result, published["data"])
        self._host(result, "ok")

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._host(result, "ignored" if ignore_errors else "failed")

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._host(result, "unreachable")

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._host(result, "skipped")

    def v2_playbook_on_stats(self, stats: Any) -> None:
        hosts = {host: stats.summarize(host) for host in sorted(stats.processed)}
        self._tell("end", hosts=hosts)

    def _evidence(self, result: Any, data: Any) -> None:
        about = {"host": result.host.get_name(), "id": str(result.task._uuid)}
        problem = oversize(data)
        if problem:
            self._tell("evidence_cut", task=_name(result.task), problem=problem, **about)
        else:
            # Tagged strings and other types of Ansible's are written as what they stand for.
            self._tell("evidence", data=json.loads(json.dumps(data, default=str)), **about)

    def _host(self, result: Any, status: str) -> None:
        fields = {
            "host": result.host.get_name(),
            "id": str(result.task._uuid),
            "task": _name(result.task),
            "status": status,
        }
        if status in {"failed", "unreachable"}:
            fields["message"] = _message(result.result)
        self._tell("host", **fields)


def oversize(data: Any) -> str:
    """Return what is too much about some data, or an empty string. Walks without calling itself."""
    left = [(data, 1)]
    values = size = 0
    while left:
        value, depth = left.pop()
        values += 1
        inside: list[Any] = []
        if isinstance(value, dict):
            inside = [*value.keys(), *value.values()]
        elif isinstance(value, list | tuple | set):
            inside = list(value)
        else:
            size += len(value) if isinstance(value, str | bytes) else 8
        if depth > _MAX_DEPTH:
            return f"nested deeper than {_MAX_DEPTH}"
        if values + len(inside) > _MAX_VALUES or size > _MAX_BYTES:
            return f"more than {_MAX_VALUES} values or {_MAX_BYTES} characters"
        left += ((item, depth + 1) for item in inside)
    return ""


def _prepare_to_fork() -> None:
    """Load here what each process of a host would load for itself, and share its memory with them for good.

    Measured: 8 % of the controller's processor time and 11 % of its memory (docs/adr/0035).
    """
    for loader in (filter_loader, test_loader):
        for _ in loader.all():
            pass
    connection_loader.get("ssh", class_only=True)
    gc.collect()
    gc.freeze()


def _name(task: Any) -> str:
    return str(task.get_name())[:_MAX_NAME]


def _message(result: Any) -> str:
    items = result.get("results")
    failed = [i for i in items if isinstance(i, dict) and i.get("failed")] if isinstance(items, list) else []
    for said in (result, *failed[:1]):
        for key in ("msg", "stderr", "module_stderr", "stdout"):
            # A host may answer with anything: reprlib looks at a few values, a few levels deep.
            text = said.get(key) or ""
            text = (text if isinstance(text, str) else reprlib.repr(text)).strip()
            if text:
                # Ansible's own words when what a host answered is nested deeper than it reads.
                mark = "[truncated] nested too deep: " if "recursion depth exceeded" in text else ""
                mark = _OTHER_KEY if "Host key verification failed" in text else mark
                return (mark + text)[:_MAX_MESSAGE]
    return "no message"
