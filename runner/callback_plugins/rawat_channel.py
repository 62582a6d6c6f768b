"""Ansible callback: tells the runner what happens, over the runner's own channel (runner/channel.py).

Evidence is taken from ``set_stats``, which makes it on the controller, and kept apart per host.
Every task is told when it starts on a host: what ends without having started is not believed.
An action that asks all hosts of a play itself tells each of them itself; only its counts are told here.
"""

from __future__ import annotations

import gc
import os
from typing import Any

from ansible.plugins.callback import CallbackBase
from ansible.plugins.loader import connection_loader, filter_loader, test_loader

from runner.channel import PLACE, Channel

DOCUMENTATION = """
    name: rawat_channel
    type: notification
    short_description: Tells Rawat's runner what happens
    description:
      - Writes one JSON line per task start, host start, host result, published evidence and end of play
        to the file named by E(RAWAT_CHANNEL).
    options: {}
"""

_SET_STATS = frozenset({"set_stats", "ansible.builtin.set_stats", "ansible.legacy.set_stats"})
# Actions of ours that ask every host of a play themselves (runner/batch.py).
_ASKING = frozenset({"check_host_probe"})
# Ansible tells that one of these was skipped, and of none that it was started: it is done on no host.
_META = frozenset({"meta", "ansible.builtin.meta", "ansible.legacy.meta"})
_COUNTS = ("ok", "failures", "unreachable", "changed", "skipped", "rescued", "ignored")
_COUNTED_AS = {"ok": "ok", "failed": "failures", "unreachable": "unreachable"}


class CallbackModule(CallbackBase):  # type: ignore[misc]  # ansible-core ships no types
    """Writes the channel."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "rawat_channel"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._channel = Channel(os.environ[PLACE])
        self._asked: dict[str, str] = {}
        self._ran_at: list[str] = []
        self._prepared = False

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        if task.action not in _ASKING and not self._prepared:
            self._prepared = True
            _prepare_to_fork()
        self._channel.task(str(task.get_name()))

    def v2_playbook_on_handler_task_start(self, task: Any) -> None:
        self._channel.task(str(task.get_name()))

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        if task.action not in _ASKING:
            self._channel.start(host.get_name(), str(task._uuid))

    def v2_runner_on_ok(self, result: Any) -> None:
        if result.task.action in _ASKING:
            self._asked.update(result.result["asked"])
            self._ran_at.append(result.host.get_name())
            return
        published = result.result.get("ansible_stats")
        if result.task.action in _SET_STATS and published and published.get("per_host"):
            name = str(result.task.get_name())
            self._channel.evidence(result.host.get_name(), str(result.task._uuid), name, published["data"])
        self._ended(result, "ok")

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        if result.task.action in _ASKING:
            # It asked nobody: Ansible has a result of one host, and nothing of the others.
            self._channel.start(result.host.get_name(), str(result.task._uuid))
        self._ended(result, "ignored" if ignore_errors else "failed")

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._ended(result, "unreachable")

    def v2_runner_on_skipped(self, result: Any) -> None:
        # An action that was skipped asked nobody, and nobody was told to have started.
        if result.task.action not in _ASKING | _META:
            self._ended(result, "skipped")

    def v2_playbook_on_stats(self, stats: Any) -> None:
        hosts = {host: stats.summarize(host) for host in sorted(stats.processed)}
        # Ansible counts such a task for the one host it ran for.
        for host in self._ran_at:
            hosts[host]["ok"] -= 1
        for host, status in self._asked.items():
            counts = hosts.setdefault(host, dict.fromkeys(_COUNTS, 0))
            counts[_COUNTED_AS[status]] += 1
        self._channel.end(hosts)

    def _ended(self, result: Any, status: str) -> None:
        name = str(result.task.get_name())
        self._channel.ended(result.host.get_name(), str(result.task._uuid), name, status, result.result)


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
