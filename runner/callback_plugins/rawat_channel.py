"""Ansible callback: tells the runner what happens, over a file of its own.

ansible-runner reads its events out of the terminal stream, in which text of the managed hosts travels
too, so a host could forge them. This channel is a file that only the controller's process writes.
Evidence is taken from ``set_stats`` alone, an action that runs on the controller.
"""

from __future__ import annotations

import json
import os
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
    name: rawat_channel
    type: notification
    short_description: Tells Rawat's runner what happens
    description:
      - Writes one JSON line per task start, host result, published evidence and end of play
        to the file named by E(RAWAT_CHANNEL).
    options: {}
"""

_STATS_ACTIONS = frozenset({"set_stats", "ansible.builtin.set_stats", "ansible.legacy.set_stats"})
_MAX_MESSAGE = 4000


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
        line = json.dumps({"kind": kind, **fields}, default=str) + "\n"
        os.write(self._channel, line.encode())

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self._tell("task", name=task.get_name())

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        self._tell("task", name=task.get_name())

    def v2_runner_on_ok(self, result: Any) -> None:
        self._host(result, "ok")
        published = result.result.get("ansible_stats")
        if result.task.action in _STATS_ACTIONS and published and published.get("per_host"):
            self._tell("evidence", host=result.host.get_name(), data=published["data"])

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._host(result, "ignored" if ignore_errors else "failed")

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._host(result, "unreachable")

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._host(result, "skipped")

    def v2_playbook_on_stats(self, stats: Any) -> None:
        hosts = {host: stats.summarize(host) for host in sorted(stats.processed)}
        self._tell("end", hosts=hosts)

    def _host(self, result: Any, status: str) -> None:
        fields = {"host": result.host.get_name(), "task": result.task.get_name(), "status": status}
        if status in {"failed", "unreachable"}:
            fields["message"] = _message(result.result)
        self._tell("host", **fields)


def _message(result: Any) -> str:
    for key in ("msg", "stderr", "module_stderr", "stdout"):
        text = str(result.get(key) or "").strip()
        if text:
            return text[:_MAX_MESSAGE]
    failed = [item for item in result.get("results", []) if isinstance(item, dict) and item.get("failed")]
    return _message(failed[0]) if failed else "no message"
