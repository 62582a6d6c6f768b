"""A host that went silent in the middle of a change is asked again, and only its answer counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from runner import errors
from runner.executors.base import ActionRequest, Failure, HostResult, Progress, ProgressEvent
from runner.executors.reattach import Reattaching

Answer = Sequence[HostResult] | Exception
ok = HostResult("a", "ok", {"role": {"outcome": "applied"}})
silent = HostResult("a", "unknown", {"before": {"n": 1}}, Failure("Install", "lost"))
gone = HostResult("a", "unreachable", {}, Failure("Install", "no route"))
failed = HostResult("a", "failed", {}, Failure("Install", "broke off"))


class Scripted:
    """Answers one request after the other and remembers them."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[ActionRequest] = []

    def execute(self, request: ActionRequest, progress: Progress) -> tuple[HostResult, ...]:
        self.requests.append(request)
        progress(ProgressEvent("task", "scripted"))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return tuple(answer)


@pytest.fixture(name="request_")
def _request(tmp_path: Path) -> ActionRequest:
    return ActionRequest(
        "run",
        7,
        1,
        "1",
        ("a", "b"),
        tmp_path / "inventory",
        tmp_path / "work",
        tmp_path / "state",
        changes=True,
    )


def reattaching(
    executor: Scripted, *, seconds: float = 60
) -> Callable[[ActionRequest], dict[str, HostResult]]:
    both = Reattaching(executor, return_seconds=seconds, pause=lambda _seconds: None)
    return lambda request: {r.host: r for r in both.execute(request, lambda _event: None)}


def test_a_silent_host_is_asked_again_and_no_other(request_: ActionRequest) -> None:
    executor = Scripted([silent, HostResult("b", "ok")], [ok])

    results = reattaching(executor)(request_)

    again = executor.requests[1]
    assert [(r.hosts, r.reattach) for r in executor.requests] == [(("a", "b"), False), (("a",), True)]
    assert again.work.parent == request_.work
    assert results["a"].status == "ok"
    assert results["a"].results == {"before": {"n": 1}, "role": {"outcome": "applied"}}
    assert list(results) == ["a", "b"]


@pytest.mark.parametrize("away", [silent, gone], ids=["silent", "unreachable"])
def test_silence_is_no_answer(request_: ActionRequest, away: HostResult) -> None:
    executor = Scripted([silent, HostResult("b", "ok")], [away], [away], [failed])

    result = reattaching(executor)(request_)["a"]

    assert len(executor.requests) == 4
    assert result.status == "failed"
    assert result.failure == Failure("Install", "broke off (the host had gone silent during the work)")


def test_a_host_that_stays_away_stays_unknown(request_: ActionRequest) -> None:
    executor = Scripted([silent, HostResult("b", "ok")], [gone])

    assert reattaching(executor, seconds=-1)(request_)["a"] == silent
    assert len(executor.requests) == 2


def test_answers_of_the_other_hosts_outlive_a_second_try_that_does_not_start(request_: ActionRequest) -> None:
    executor = Scripted([silent, HostResult("b", "ok")], errors.StepFailedError("did not start"))

    assert {host: r.status for host, r in reattaching(executor)(request_).items()} == {
        "a": "unknown",
        "b": "ok",
    }


@pytest.mark.parametrize("status", ["ok", "failed", "unreachable"])
def test_a_host_that_answered_is_left_alone(request_: ActionRequest, status: str) -> None:
    executor = Scripted([HostResult("a", status), HostResult("b", "ok")])  # type: ignore[arg-type] # a plain string

    reattaching(executor)(request_)

    assert len(executor.requests) == 1


def test_looking_at_hosts_is_not_repeated(request_: ActionRequest) -> None:
    """Only a change can leave work behind; a host lost while it was looked at is just not reached."""
    executor = Scripted([silent, HostResult("b", "ok")])
    looking = ActionRequest(**{**vars(request_), "changes": False})

    assert reattaching(executor)(looking)["a"] == silent
