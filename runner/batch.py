"""An action that asks all hosts of a play itself, over Ansible's connections, and tells what each came to.

Ansible gives each host of a task a process, which costs the controller more than asking the host does. Here
one process prepares each host as Ansible does (variables, connection, become: its own code), and a thread
waits for the host's answer. What it comes to is told host by host over the runner's channel.

Rules:
    - A host is told to have started before it is asked; what goes wrong with one is told of that one.
    - As many hosts are asked at a time as Ansible has forks; a host that does not answer within its own time
      is given up, and holds none of the others beyond it.
    - Such a task is the last of its play: Ansible knows nothing of the hosts that failed in it.
    - Its keywords (``become`` and the like) hold no templates: Ansible fills them in for the first host.
      What differs per host are variables, such as ``ansible_become``.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible import context
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.executor.task_executor import TaskExecutor
from ansible.playbook.play_context import PlayContext
from ansible.plugins.action import ActionBase

from runner.channel import PLACE, Channel, message_of

_GRACE_SECONDS = 2.0
"""How long after its time a host's connection may take to be given up; then nobody waits for it any more."""
_LEAST_SECONDS = 0.01
_MOST_OUTPUT = 1_000_000


class UnreadableError(Exception):
    """The host did not answer with what it was asked for."""


@dataclass(frozen=True)
class Question:
    """What a host is asked."""

    command: str
    program: bytes
    """What the command reads from its standard input."""
    seconds: float
    """After which the host is given up."""


@dataclass(frozen=True)
class Answer:
    """What a host answered, and when it was asked and had answered by the controller's clock."""

    said: Mapping[str, Any]
    """``stdout``, ``stderr`` and ``rc``."""
    sent: float
    received: float


class BatchAction(ActionBase):  # type: ignore[misc]  # ansible-core ships no types
    """Asks every host of the play one question. A subclass knows the question and judges the answer."""

    # Ansible runs the task once, with the first host's variables.
    BYPASS_HOST_LOOP = True
    prepared_for_one = False

    def question(self) -> Question:
        """Return what this action's host is asked.

        Raises:
            AnsibleError: when what the inventory says of it is wrong.
        """
        raise NotImplementedError

    def evidence(self, answer: Answer) -> dict[str, Any]:
        """Return what is published of this action's host.

        Raises:
            UnreadableError: when the answer is none.
        """
        raise NotImplementedError

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:  # noqa: ANN401 - Ansible's own
        """Ask the hosts and tell what each came to; it changes nothing, in check mode or not."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        self.variables = task_vars
        if self.prepared_for_one:
            return result
        return result | {"changed": False, "asked": _Batch(self).asked()}


class _ForOne(TaskExecutor):  # type: ignore[misc]  # ansible-core ships no types
    """Prepares a task for one host as Ansible does, and stops where the host would be asked."""

    action: BatchAction | None = None

    def prepared(self) -> tuple[BatchAction | None, dict[str, Any]]:
        result: dict[str, Any] = self._execute(self._task_templar, self._job_vars)
        return (None if result.get("failed") or result.get("unreachable") else self.action), result

    def _get_action_handler_with_module_context(self, templar: Any) -> Any:  # noqa: ANN401 - Ansible's own
        self.action, module = super()._get_action_handler_with_module_context(templar)
        self.action.prepared_for_one = True
        return self.action, module


@dataclass
class _Asked:
    """A host that is being asked."""

    action: BatchAction
    question: Question
    deadline: float
    given_up: bool = False


class _Batch:
    """The hosts of a play, asked so many at a time."""

    def __init__(self, action: BatchAction) -> None:
        self._action = action
        self._task = action._task
        self._play = action._task.play
        self._manager = action._task.get_variable_manager()
        self._hosts: list[str] = list(action.variables["ansible_play_batch"])
        self._told: dict[str, str] = {}
        self._answers: queue.SimpleQueue[tuple[str, Answer | Exception]] = queue.SimpleQueue()
        self._under_way: dict[str, _Asked] = {}
        place = os.environ.get(PLACE)
        self._channel = Channel(place) if place else None

    def asked(self) -> dict[str, str]:
        """Ask all hosts; return what each came to: ok, failed or unreachable."""
        waiting = deque(self._hosts)
        most = max(1, int(context.CLIARGS.get("forks") or 1))
        while waiting or self._under_way:
            while waiting and len(self._under_way) < most:
                self._begin(waiting.popleft())
            self._take()
        return self._told

    def _begin(self, host: str) -> None:
        if self._channel:
            self._channel.start(host, str(self._task._uuid))
        try:
            action, result = self._prepared(host)
            if action is None:
                self._tell(host, "unreachable" if result.get("unreachable") else "failed", result)
                return
            question = action.question()
        except Exception as error:  # noqa: BLE001 - whatever one host's variables do, the others are asked
            self._tell(host, *_why(error))
            return
        self._under_way[host] = _Asked(action, question, time.monotonic() + question.seconds)
        threading.Thread(target=self._ask, args=(host, action, question), daemon=True).start()

    def _prepared(self, name: str) -> tuple[BatchAction | None, dict[str, Any]]:
        host = self._manager._inventory.get_host(name)
        # Not what was filled in for the first host, and not its connection.
        task = self._task.copy(exclude_parent=True, exclude_tasks=True)
        task._parent = self._task._parent
        task.delegate_to = None
        variables = self._manager.get_vars(play=self._play, host=host, task=task, _hosts=self._hosts)
        return _ForOne(
            host,
            task,
            variables,
            PlayContext(self._play),
            self._action._loader,
            self._action._shared_loader_obj,
            None,
            self._manager,
        ).prepared()

    def _ask(self, host: str, action: BatchAction, question: Question) -> None:
        """Wait for one host's answer, in a thread of its own."""
        try:
            action._connection.most_output = _MOST_OUTPUT
            action._connection.own_session = True
            sent = time.time()
            said = action._low_level_execute_command(question.command, in_data=question.program)
            self._answers.put((host, Answer(said, sent, time.time())))
        except Exception as error:  # noqa: BLE001 - told by who waits for the answer
            self._answers.put((host, error))

    def _take(self) -> None:
        """Take the next answer, or give up who is over his time."""
        if not self._under_way:
            return
        first = min(asked.deadline for asked in self._under_way.values())
        try:
            host, answer = self._answers.get(timeout=max(_LEAST_SECONDS, first - time.monotonic()))
        except queue.Empty:
            self._give_up()
            return
        asked = self._under_way.pop(host, None)
        if asked is None:
            return  # it answered after all, when nobody waited any more
        if asked.given_up:
            self._tell(host, "failed", _timed_out(asked))
        elif isinstance(answer, Exception):
            self._tell(host, *_why(answer))
        else:
            self._judge(host, asked, answer)

    def _judge(self, host: str, asked: _Asked, answer: Answer) -> None:
        try:
            published = asked.action.evidence(answer)
        except UnreadableError as error:
            self._tell(host, "failed", {"msg": str(error)})
        except Exception as error:  # noqa: BLE001 - whatever one host answered, the others are told
            self._tell(host, *_why(error))
        else:
            if self._channel:
                self._channel.evidence(host, str(self._task._uuid), str(self._task.get_name()), published)
            self._tell(host, "ok", {})

    def _give_up(self) -> None:
        now = time.monotonic()
        for host, asked in [*self._under_way.items()]:
            if asked.deadline > now:
                continue
            if asked.given_up:
                # It cannot even be ended; the warden ends what it started.
                del self._under_way[host]
                self._tell(host, "failed", _timed_out(asked))
                continue
            asked.given_up, asked.deadline = True, now + _GRACE_SECONDS
            give_up = getattr(asked.action._connection, "give_up", None)
            if give_up:
                give_up()

    def _tell(self, host: str, status: str, result: Mapping[str, Any]) -> None:
        self._told[host] = status
        if self._channel:
            name = str(self._task.get_name())
            self._channel.ended(host, str(self._task._uuid), name, status, result)
        elif status != "ok":
            self._action._display.warning(f"{host}: {status}: {message_of(result)}")


def _timed_out(asked: _Asked) -> dict[str, Any]:
    return {"msg": f"Task failed: Timed out after {asked.question.seconds:g} second(s)."}


def _why(error: Exception) -> tuple[str, dict[str, Any]]:
    status = "unreachable" if isinstance(error, AnsibleConnectionFailure) else "failed"
    unexpected = "" if isinstance(error, AnsibleError) else "Unexpected failure: "
    return status, {"msg": f"Task failed: {unexpected}{error}"}
