"""How a printer is judged: ready, with paper and toner, its queue short."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from runner.judges.base import Finding, at_least, at_most, finding, limits, unmeasured

_SOME = -3
"""A supply's level by the Printer MIB: there is some, and nobody knows how much."""
_OVER = frozenset(
    {"media-empty", "media-needed", "media-jam", "toner-empty", "marker-supply-empty", "cover-open"}
    | {"door-open", "interlock-open", "marker-waste-full", "spool-area-full", "input-tray-missing"}
    | {"output-area-full"}
)
_SOON = frozenset(
    {"media-low", "toner-low", "marker-supply-low", "marker-waste-almost-full", "output-area-almost-full"}
    | {"opc-near-eol", "developer-low", "paused", "moving-to-paused"}
)
_BY_ENDING = {"error": "critical", "warning": "warning", "report": "notice"}


def judge(facts: Mapping[str, Any], thresholds: Mapping[str, Any]) -> list[Finding]:
    """Return the findings of a printer.

    Args:
        facts: what the role's module measured.
        thresholds: ``..._warning`` and ``..._critical`` of ``supply`` (% left), ``waste`` (% full) and
            ``queue``.
    """
    return list(_findings(facts, thresholds))


def _findings(facts: Mapping[str, Any], thresholds: Mapping[str, Any]) -> Iterator[Finding]:
    uri, outcome = facts["uri"], facts["outcome"]
    is_there = outcome in {"answered", "login"}
    yield finding("printer_reachable", uri, "good" if is_there else "critical", outcome)
    if outcome != "answered":
        why = "login" if is_there else "no answer"
        for code in ("printer_state", "printer_supply", "printer_queue"):
            yield unmeasured(code, uri, why)
        return
    name = facts["name"] or uri
    if facts["state"] == "unknown":
        yield unmeasured("printer_state", name, "the device does not say")
    else:
        severity = "critical" if facts["state"] == "stopped" else "good"
        yield finding("printer_state", name, severity, facts["state"])
    if not facts["is_accepting"]:
        yield finding("printer_accepting", name, "critical")
    for reason in facts["reasons"]:
        if reason != "none":
            base, severity = judged_reason(reason)
            yield finding("printer_reason", name, severity, base)
    yield from _supplies(facts, name, thresholds)
    if facts["queued"] is None:
        yield unmeasured("printer_queue", name, "the device does not say")
    else:
        yield at_most("printer_queue", name, facts["queued"], "", *limits(thresholds, "queue"))


def judged_reason(reason: str) -> tuple[str, str]:
    """Return what a printer complains of, and how bad that is.

    RFC 8011 (5.4.12) lets the ending say it; printers say "report" of an empty tray: the best known go first.
    """
    base, _, ending = reason.rpartition("-")
    if ending not in _BY_ENDING:
        base = reason
    if base in _OVER:
        return base, "critical"
    if base in _SOON:
        return base, "warning"
    return base, _BY_ENDING.get(ending, "warning")


def _supplies(facts: Mapping[str, Any], name: str, thresholds: Mapping[str, Any]) -> Iterator[Finding]:
    for marker in facts["markers"]:
        subject, level = f"{marker['name']} ({name})", marker["level"]
        if marker["is_waste"] and level >= 0:
            yield at_most("printer_waste", subject, level, "%", *limits(thresholds, "waste"))
        elif level >= 0:
            yield at_least("printer_supply", subject, level, "%", *limits(thresholds, "supply"))
        elif level == _SOME:
            yield finding("printer_supply", subject, "good", "some")
        else:
            yield unmeasured("printer_supply", subject, "the device does not say")
    if not facts["markers"]:
        yield unmeasured("printer_supply", name, "the device does not say")
