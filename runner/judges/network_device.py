"""How a network device is judged: reachable, its interfaces as expected, few errors, its battery ready."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from runner.judges.base import Finding, at_least, at_most, finding, limits, unmeasured

_DAY = 86_400
_PERCENT = 100
_ENOUGH_PACKETS = 1000


def judge(facts: Mapping[str, Any], thresholds: Mapping[str, Any]) -> list[Finding]:
    """Return the findings of a network device.

    Args:
        facts: what the role's module measured.
        thresholds: ``interfaces`` (names that should be up), ``restarted_days``, ``has_battery``, and
            ``..._warning`` and ``..._critical`` of ``errors`` (% of packets), ``charge`` (%), ``minutes``.
    """
    return [*_reachable(facts), *_answered(facts, thresholds)]


def _reachable(facts: Mapping[str, Any]) -> Iterator[Finding]:
    address, outcome = facts["address"], facts["outcome"]
    has_echo = facts["echoes"]["received"] > 0
    if outcome in {"answered", "login"} or has_echo:
        yield finding("device_reachable", address, "good", "answered")
    else:
        named = "no such name" if facts["echoes"]["status"] == "no such name" else "no answer"
        yield finding("device_reachable", address, "critical", named)
    if outcome == "login":
        yield finding("snmp_login", address, "critical")
    elif outcome == "answered":
        yield finding("snmp_answer", address, "good", outcome)
    elif has_echo:
        # Version 2c is silent to a wrong community: it cannot be told from an agent that is off.
        yield finding("snmp_answer", address, "critical", outcome)
    else:
        yield unmeasured("snmp_answer", address, "no answer")


def _answered(facts: Mapping[str, Any], thresholds: Mapping[str, Any]) -> Iterator[Finding]:
    if facts["outcome"] != "answered":
        why = "login" if facts["outcome"] == "login" else "no answer"
        for code in ("device_uptime", "interface_state", "interface_errors"):
            yield unmeasured(code, facts["address"], why)
        return
    days = round(facts["uptime_seconds"] / _DAY, 1)
    severity = "notice" if days < thresholds["restarted_days"] else "good"
    yield finding("device_uptime", facts["name"], severity, days, "days", thresholds["restarted_days"])
    yield from _interfaces(facts, thresholds)
    yield from _errors(facts, thresholds)
    yield from _battery(facts, thresholds)


def _interfaces(facts: Mapping[str, Any], thresholds: Mapping[str, Any]) -> Iterator[Finding]:
    found: dict[str, str] = {}
    for interface in facts["interfaces"]:
        for name in (interface["description"], interface["name"]):
            found[name] = interface["state"]
    for name in thresholds["interfaces"]:
        state = found.get(name, "missing")
        yield finding("interface_state", name, "good" if state == "up" else "critical", state, "", "up")
    if not thresholds["interfaces"]:
        yield unmeasured("interface_state", facts["address"], "no interface is expected")


def _errors(facts: Mapping[str, Any], thresholds: Mapping[str, Any]) -> Iterator[Finding]:
    judged = []
    for interface in facts["interfaces"]:
        packets = max(0, interface["packets_in"]) + max(0, interface["packets_out"])
        errors = max(0, interface["errors_in"]) + max(0, interface["errors_out"])
        if interface["state"] == "up" and packets + errors >= _ENOUGH_PACKETS:
            percent = round(_PERCENT * errors / (packets + errors), 2)
            name = interface["name"]
            judged.append(at_most("interface_errors", name, percent, "%", *limits(thresholds, "errors")))
    bad = [one for one in judged if one["severity"] != "good"]
    if judged:
        # A device has many ports: of those that are well, the worst stands for all.
        yield from bad or [max(judged, key=lambda one: float(one["measured"]))]
    else:
        yield unmeasured("interface_errors", facts["address"], "too few packets")


def _battery(facts: Mapping[str, Any], thresholds: Mapping[str, Any]) -> Iterator[Finding]:
    ups, name = facts["ups"], facts["name"]
    if ups is None:
        if thresholds["has_battery"]:
            yield unmeasured("ups_battery", name, "the device does not say")
        return
    if ups["battery"] == "unknown":
        yield unmeasured("ups_battery", name, "the device does not say")
    else:
        severity = "good" if ups["battery"] == "normal" else "critical"
        yield finding("ups_battery", name, severity, ups["battery"], "", "normal")
    if ups["charge_percent"] is not None:
        yield at_least("ups_charge", name, ups["charge_percent"], "%", *limits(thresholds, "charge"))
    if ups["minutes_left"] is not None:
        yield at_least("ups_minutes", name, ups["minutes_left"], "minutes", *limits(thresholds, "minutes"))
    power = ("warning", "battery") if ups["on_battery"] else ("good", "mains")
    yield finding("ups_power", name, *power)
    if ups["replace"] is not None:
        severity, told = ("warning", "replace") if ups["replace"] else ("good", "keep")
        yield finding("ups_replace", name, severity, told)
