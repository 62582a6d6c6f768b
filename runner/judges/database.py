"""How a database server is judged: up, let in, replicated, with room to grow, and dumped lately."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from runner.judges.base import Finding, at_least, at_most, finding, limits, unmeasured

_DAY = 86_400
_MONTH = 30 * _DAY
_PERCENT = 100


def judge(facts: Mapping[str, Any], thresholds: Mapping[str, Any]) -> list[Finding]:
    """Return the findings of a database server.

    Args:
        facts: what the role's module measured.
        thresholds: ``role`` (`any`, `primary`, `replica`), ``replicas`` (how many are expected), and for
            ``lag`` (seconds), ``replica_lag`` (bytes), ``connections`` (%), ``size`` (bytes, 0: not judged),
            ``growth`` (% in 30 days), ``dump_age`` (days) the ``..._warning`` and ``..._critical``;
            ``dump_shrunk`` (% of the dump before); ``earlier``: {`databases`: [[when, bytes], ...]}.
    """
    return [*_server(facts, thresholds), *_dumps(facts["dumps"], thresholds)]


def _server(facts: Mapping[str, Any], thresholds: Mapping[str, Any]) -> Iterator[Finding]:
    engine, outcome = facts["engine"], facts["outcome"]
    is_there = outcome in {"answered", "login"}
    yield finding(
        "database_up", engine, "good" if is_there else "critical", "answered" if is_there else outcome
    )
    if outcome == "login":
        yield finding("database_login", engine, "critical", facts["error"])
    if outcome != "answered":
        why = "login" if is_there else "no answer"
        for code in ("database_role", "database_connections", "database_size", "database_growth"):
            yield unmeasured(code, engine, why)
        return
    role = "replica" if facts["is_replica"] else "primary"
    expected = thresholds["role"]
    if expected == "any":
        yield finding("database_role", engine, "good", role)
    else:
        yield finding("database_role", engine, "good" if role == expected else "critical", role, "", expected)
    yield from _replication(facts, thresholds)
    used = round(_PERCENT * facts["connections"] / max(1, facts["most_connections"]), 1)
    yield at_most("database_connections", engine, used, "%", *limits(thresholds, "connections"))
    yield from _size(facts, thresholds)


def _replication(facts: Mapping[str, Any], thresholds: Mapping[str, Any]) -> Iterator[Finding]:
    engine, source = facts["engine"], facts["source"]
    if source:
        if not source["is_running"]:
            yield finding("database_replication", engine, "critical", source["problem"] or "stopped")
            yield unmeasured("database_lag", engine, "replication stands still")
        else:
            yield finding("database_replication", engine, "good", "running")
            if source["lag_seconds"] is None:
                yield unmeasured("database_lag", engine, "the server does not say")
            else:
                lag = round(max(0, float(source["lag_seconds"])), 1)
                yield at_most("database_lag", engine, lag, "seconds", *limits(thresholds, "lag"))
    streaming = [replica for replica in facts["replicas"] if replica["state"] == "streaming"]
    if thresholds["replicas"] or facts["replicas"]:
        severity = "good" if len(streaming) >= thresholds["replicas"] else "critical"
        yield finding("database_replicas", engine, severity, len(streaming), "", thresholds["replicas"])
    for replica in streaming:
        if replica["lag_bytes"] is not None:
            lag = replica["lag_bytes"]
            yield at_most(
                "database_replica_lag", replica["name"], lag, "bytes", *limits(thresholds, "replica_lag")
            )


def _size(facts: Mapping[str, Any], thresholds: Mapping[str, Any]) -> Iterator[Finding]:
    engine = facts["engine"]
    size = sum(one["bytes"] for one in facts["databases"])
    warning, critical = thresholds["size_warning"] or None, thresholds["size_critical"] or None
    yield at_most("database_size", engine, size, "bytes", warning, critical)
    growth = growth_in_a_month(size, facts["now"], thresholds["earlier"].get("databases", ()))
    if growth is None:
        yield unmeasured("database_growth", engine, "no earlier measurement")
    else:
        yield at_most("database_growth", engine, growth, "%", *limits(thresholds, "growth"))


def growth_in_a_month(size: int, now: float, earlier: Sequence[Sequence[float]]) -> float | None:
    """Return by how many percent a size grows in 30 days, as since the oldest measurement of the last year.

    None without one that is at least a day old: what grows within an hour says nothing of a month.
    """
    points = [(at, then) for at, then in earlier if _DAY <= now - at <= 12 * _MONTH and then > 0]
    if not points:
        return None
    at, then = min(points)
    return round(_PERCENT * (size - then) / then * _MONTH / (now - at), 1)


def _dumps(dumps: Mapping[str, Any] | None, thresholds: Mapping[str, Any]) -> Iterator[Finding]:
    if dumps is None:
        for code in ("database_dump_age", "database_dump_size"):
            yield unmeasured(code, "", "no place of dumps is known")
        return
    newest = dumps["newest"]
    if newest is None:
        yield finding("database_dump_missing", "", "critical")
        return
    path = newest["path"]
    days = round(newest["age_seconds"] / _DAY, 1)
    yield at_most("database_dump_age", path, days, "days", *limits(thresholds, "dump_age"))
    least = int((dumps["previous_bytes"] or 0) * thresholds["dump_shrunk"] / _PERCENT)
    if newest["bytes"] == 0:
        yield finding("database_dump_size", path, "critical", 0, "bytes")
    else:
        yield at_least("database_dump_size", path, newest["bytes"], "bytes", least or None, None)
    if newest["is_whole"] is not None:
        whole = ("good", "whole") if newest["is_whole"] else ("critical", "cut off")
        yield finding("database_dump_whole", path, *whole)
