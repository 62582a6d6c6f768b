"""The channel over which Ansible's processes tell the runner what happens: lines in a file of our own.

ansible-runner reads its events out of the terminal stream, in which text of the managed hosts travels
too, so a host could forge them. This file is written by the controller's processes only: the callback plugin,
and an action that asks many hosts. Sizes are capped here, before anything is written; what does not fit is
told as left out.
"""

from __future__ import annotations

import json
import os
import reprlib
from collections.abc import Mapping
from typing import Any

PLACE = "RAWAT_CHANNEL"
"""The environment variable that names the file."""

_MAX_MESSAGE = 4000
# Said first, because ssh says it last, below a screenful.
_OTHER_KEY = "Host key verification failed: it shows another key than is known of it, or none is known. "
_MAX_NAME = 1000
# Of one task's evidence on one host. A plan of 2,000 updates needs about 1 MB.
_MAX_BYTES = 4_000_000
_MAX_VALUES = 100_000
_MAX_DEPTH = 12


class Channel:
    """Writes the channel: whole lines, each appended in one go, so that processes may write in turn."""

    def __init__(self, path: str) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.open(path, flags, 0o600)

    def task(self, name: str) -> None:
        """Tell that a task begins."""
        self._tell("task", name=name[:_MAX_NAME])

    def start(self, host: str, task_id: str) -> None:
        """Tell that a task starts on a host; what ends there without it is not believed."""
        self._tell("start", host=host, id=task_id)

    def evidence(self, host: str, task_id: str, task: str, data: Any) -> None:
        """Tell what a task published of a host, or that it was too much."""
        problem = oversize(data)
        if problem:
            self._tell("evidence_cut", task=task[:_MAX_NAME], problem=problem, host=host, id=task_id)
        else:
            # Tagged strings and other types of Ansible's are written as what they stand for.
            self._tell("evidence", data=json.loads(json.dumps(data, default=str)), host=host, id=task_id)

    def ended(self, host: str, task_id: str, task: str, status: str, result: Mapping[str, Any]) -> None:
        """Tell what a task came to on a host: ok, ignored, skipped, failed or unreachable."""
        fields = {"host": host, "id": task_id, "task": task[:_MAX_NAME], "status": status}
        if status in {"failed", "unreachable"}:
            fields["message"] = message_of(result)
        self._tell("host", **fields)

    def end(self, hosts: Mapping[str, Mapping[str, int]]) -> None:
        """Tell that the playbook is over, with the counts of each host."""
        self._tell("end", hosts=hosts)

    def _tell(self, kind: str, **fields: Any) -> None:
        os.write(self._file, (json.dumps({"kind": kind, **fields}) + "\n").encode())


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


def message_of(result: Mapping[str, Any]) -> str:
    """Return why a task failed, of whatever a host answered; capped."""
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
