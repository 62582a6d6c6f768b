"""How the line out of the office is judged: echoes that come back, and soon, and names that are resolved."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from runner.judges.base import Finding, at_most, finding, limits, unmeasured

_PERCENT = 100


def judge(facts: Mapping[str, Any], thresholds: Mapping[str, Any]) -> list[Finding]:
    """Return the findings of a line.

    Args:
        facts: what the role's module measured.
        thresholds: ``..._warning`` and ``..._critical`` of ``loss`` (%), ``latency`` and ``names``
            (milliseconds).
    """
    return [*_echoes(facts, thresholds), *_names(facts, thresholds)]


def _echoes(facts: Mapping[str, Any], thresholds: Mapping[str, Any]) -> Iterator[Finding]:
    for said in facts["echoes"]:
        target = said["target"]
        if said["status"] == "no such name":
            yield finding("link_target", target, "critical", said["status"])
            yield unmeasured("link_loss", target, said["status"])
            continue
        loss = round(_PERCENT * (1 - said["received"] / said["sent"]), 1)
        yield at_most("link_loss", target, loss, "%", *limits(thresholds, "loss"))
        if said["average_ms"] is None:
            yield unmeasured("link_latency", target, "no answer")
        else:
            yield at_most(
                "link_latency", target, said["average_ms"], "milliseconds", *limits(thresholds, "latency")
            )
    if not facts["echoes"]:
        yield finding("link_gateway", "", "critical")
    elif all(said["target"] == facts["gateway"] for said in facts["echoes"]):
        # It answers as well when the line behind it is dead.
        yield unmeasured("link_outside", "", "only the gateway was asked")


def _names(facts: Mapping[str, Any], thresholds: Mapping[str, Any]) -> Iterator[Finding]:
    for said in facts["names"]:
        if said["status"] != "found":
            yield finding("link_names", said["name"], "critical", said["status"])
        else:
            taken = said["milliseconds"]
            yield at_most(
                "link_names_time", said["name"], taken, "milliseconds", *limits(thresholds, "names")
            )
    if not facts["names"]:
        yield unmeasured("link_names", "", "no name is expected")
