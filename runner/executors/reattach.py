"""Looks again at hosts that went silent in the middle of a change: only a probe leaves ``unknown``.

Rules:
1. A host that gives no answer to a change is asked again until it answers or the time for it is over.
2. Asking again installs nothing and cures nothing: the playbook is told to join the work on the host, to read
   what came of it, and to start none (``rawat_reattach``). What takes back, removes backups or scans is done
   again: it waits for the first try, leaves what is done, and tells that as well.
3. A host that does not come back stays ``unknown``; nothing is concluded from silence.
4. The tests of the rows after it are a probe as well; they wait for the host's work to end.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

from runner import errors
from runner.executors.base import ActionRequest, Executor, Failure, HostResult, Progress, ProgressEvent

RETURN_SECONDS = 180.0
"""How long a host may stay away before its part is recorded as it is; a reboot is over by then."""
_PAUSE_SECONDS = 5.0
_LOST = frozenset({"unknown", "unreachable"})


class Reattaching:
    """Does actions with another executor, and does not leave a change with a host unheard too soon."""

    def __init__(
        self,
        executor: Executor,
        *,
        return_seconds: float = RETURN_SECONDS,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._executor = executor
        self._return_seconds = return_seconds
        self._pause = pause

    def execute(self, request: ActionRequest, progress: Progress) -> tuple[HostResult, ...]:
        """Do the action; after a change, ask the hosts that went silent what came of it."""
        found = {result.host: result for result in self._executor.execute(request, progress)}
        if request.changes:
            self._ask_again(request, found, progress)
        return tuple(found.values())

    def _ask_again(self, request: ActionRequest, found: dict[str, HostResult], progress: Progress) -> None:
        deadline = time.monotonic() + self._return_seconds
        number = 0
        while silent := tuple(host for host, result in found.items() if result.status == "unknown"):
            if number and time.monotonic() > deadline:
                return
            if number:
                self._pause(_PAUSE_SECONDS)
            number += 1
            progress(ProgressEvent("task", "Ask the silent hosts what came of it", total=len(silent)))
            again = dataclasses.replace(
                request, hosts=silent, work=request.work / f"reattach-{number}", reattach=True
            )
            try:
                answers = self._executor.execute(again, progress)
            except errors.StepFailedError:
                # What the first try told of the other hosts must not be lost with this one.
                return
            for answer in answers:
                found[answer.host] = _joined(found[answer.host], answer)


def _joined(silent: HostResult, answer: HostResult) -> HostResult:
    """Return what is known of a host once it was asked again."""
    if answer.status in _LOST:
        return silent
    results = {**silent.results, **answer.results}
    if answer.failure is None:
        return dataclasses.replace(answer, results=results)
    said = f"{answer.failure.message} (the host had gone silent during the work)"
    return dataclasses.replace(answer, results=results, failure=Failure(answer.failure.task, said))
