"""Ansible callback of the peers: one line per answer, so that what they found can be compared."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
    name: answers
    type: notification
    short_description: Writes each answer to the file named by E(BENCH_OUT)
    options: {}
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]  # ansible-core ships no types
    """Writes the answers."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "notification"
    CALLBACK_NAME = "answers"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._out = Path(os.environ["BENCH_OUT"]).open("w", encoding="utf-8")  # noqa: SIM115 - open as long as the play

    def v2_runner_on_ok(self, result: Any) -> None:
        """Write down what a task answered."""
        answer = {
            "host": result.host.get_name(),
            "fact": result.task.get_name().lower(),
            "said": result.result.get("stdout", ""),
        }
        self._out.write(json.dumps(answer) + "\n")

    def v2_playbook_on_stats(self, stats: Any) -> None:  # noqa: ARG002 - Ansible's interface
        """Write the rest to disk."""
        self._out.close()
