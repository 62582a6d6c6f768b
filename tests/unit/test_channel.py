"""The channel of Ansible's results: only what was started on a host can come to something there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runner import channel
from runner.executors.base import ActionRequest, HostResult
from runner.executors.playbook import _Told

GOOD = {"ok": 1, "failures": 0, "unreachable": 0}


def request(tmp_path: Path, *, changes: bool = False) -> ActionRequest:
    return ActionRequest(
        run="r",
        step=1,
        attempt=1,
        part="action",
        hosts=("web1", "db1"),
        inventory=tmp_path,
        work=tmp_path,
        host_state=tmp_path,
        changes=changes,
    )


def told(request: ActionRequest, *said: dict[str, Any] | bytes) -> dict[str, HostResult]:
    heard = _Told(request)
    for line in said:
        heard.take(line if isinstance(line, bytes) else json.dumps(line).encode(), lambda _event: None)
    return {result.host: result for result in heard.results()}


def start(host: str, task: str = "t1") -> dict[str, Any]:
    return {"kind": "start", "host": host, "id": task}


def ok(host: str, task: str = "t1") -> dict[str, Any]:
    return {"kind": "host", "host": host, "id": task, "task": "Probe", "status": "ok"}


def failed(host: str, message: str, task: str = "t1") -> dict[str, Any]:
    return ok(host, task) | {"status": "failed", "message": message}


def evidence(host: str, task: str = "t1", **data: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    return {"kind": "evidence", "host": host, "id": task, "data": data}


def end(**changed: dict[str, int]) -> dict[str, Any]:
    return {"kind": "end", "hosts": {"web1": GOOD, "db1": GOOD, **changed}}


def test_what_was_started_on_a_host_counts(tmp_path: Path) -> None:
    found = told(
        request(tmp_path), start("web1"), evidence("web1", role=1), ok("web1"), start("db1"), ok("db1"), end()
    )

    assert (found["web1"].status, found["web1"].results) == ("ok", {"role": 1})
    assert (found["db1"].status, found["db1"].results) == ("ok", {})


@pytest.mark.parametrize(
    "forged",
    [
        pytest.param([ok("web1", "never")], id="result of a task that was not started"),
        pytest.param([evidence("web1", "never", role=1)], id="evidence of a task that was not started"),
        pytest.param([evidence("web1", "t2", role=1)], id="evidence of a task started on another host"),
        pytest.param([ok("web1"), ok("web1")], id="a second result of one task"),
        pytest.param([ok("web1"), evidence("web1", role=1)], id="evidence after the task's end"),
    ],
)
def test_forged_results_are_refused_and_told(tmp_path: Path, forged: list[dict[str, Any]]) -> None:
    found = told(request(tmp_path), start("web1"), start("db1", "t2"), *forged, ok("db1", "t2"), end())

    assert (found["web1"].status, found["web1"].results) == ("unknown", {})
    assert "1 results of tasks that were not started there were refused" in found["web1"].failure.message  # type: ignore[union-attr]
    assert found["db1"].status == "ok"


def test_a_host_that_is_not_of_the_action_tells_nothing(tmp_path: Path) -> None:
    found = told(request(tmp_path), start("other"), evidence("other", role=1), ok("other"), end())

    assert set(found) == {"web1", "db1"}


def test_a_task_that_never_told_its_end_leaves_the_host_unknown(tmp_path: Path) -> None:
    found = told(request(tmp_path), start("web1"), ok("web1"), start("web1", "t2"), end())

    assert (found["web1"].status, found["db1"].status) == ("unknown", "ok")


@pytest.mark.parametrize(
    "line", [b"{", b"5", b"\xff", b"[" * 100_000, b'{"kind":"host"}', b'{"kind":"start","host":[]}']
)
def test_a_line_that_cannot_be_read_makes_no_host_good(tmp_path: Path, line: bytes) -> None:
    found = told(request(tmp_path), start("web1"), ok("web1"), line, end())

    assert {result.status for result in found.values()} == {"unknown"}


def test_what_was_cut_fails_and_after_a_change_is_unknown(tmp_path: Path) -> None:
    cut = {"kind": "evidence_cut", "host": "web1", "id": "t1", "task": "Publish", "problem": "too much"}
    flood = failed("db1", "Task failed: [truncated] the host sent more", "t2")
    said = (start("web1"), cut, ok("web1"), start("db1", "t2"), flood, end(db1=GOOD | {"failures": 1}))

    looking = told(request(tmp_path), *said)
    changing = told(request(tmp_path, changes=True), *said)

    assert [looking[host].status for host in ("web1", "db1")] == ["failed", "failed"]
    assert [changing[host].status for host in ("web1", "db1")] == ["unknown", "unknown"]
    assert all("[truncated]" in result.failure.message for result in looking.values())  # type: ignore[union-attr]


def nested(depth: int) -> Any:  # noqa: ANN401 - any JSON
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "data", [nested(100_000), {str(n): n for n in range(200_000)}, ["x" * 5_000_000], {"a" * 5_000_000: 1}]
)
def test_evidence_over_the_limits_is_not_written(data: Any) -> None:  # noqa: ANN401 - any JSON
    assert channel.oversize(data)


def test_a_plan_of_two_thousand_updates_is_within_the_limits() -> None:
    update = {"package": "x" * 30, "cves": ["CVE-2099-00000"] * 20, "from": "1.0-1", "to": "1.0-2"}

    assert channel.oversize({"plan_updates": {"updates": [update] * 2000}}) == ""


@pytest.mark.parametrize(
    "answer",
    [
        {"msg": nested(5000)},
        {"results": 5},
        {"results": [nested(500)]},
        {"msg": 5},
        {},
        {"stderr": "x" * 10**7},
    ],
)
def test_any_answer_of_a_host_has_a_message(answer: dict[str, Any]) -> None:
    assert 0 < len(channel.message_of(answer)) <= 4000
