"""How a RouterBOARD is judged: reachable, up to date, with room, not too hot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from runner.judges.base import Finding, at_most, finding, limits, unmeasured

_DAY = 86_400
_PERCENT = 100


def judge(facts: Mapping[str, Any], thresholds: Mapping[str, Any]) -> list[Finding]:
    """Return the findings of a RouterBOARD.

    Args:
        facts: what the role's module measured.
        thresholds: ``restarted_days``, and ``..._warning`` and ``..._critical`` of ``cpu``, ``memory``,
            ``disk`` (% in use) and ``temperature`` (degrees).
    """
    return list(_findings(facts, thresholds))


def _findings(facts: Mapping[str, Any], thresholds: Mapping[str, Any]) -> Iterator[Finding]:
    address, outcome = facts["address"], facts["outcome"]
    is_there = outcome in {"answered", "login", "not trusted"}
    severity, told = ("good", "answered") if is_there else ("critical", outcome)
    yield finding("routerboard_reachable", address, severity, told)
    if outcome == "login":
        yield finding("routerboard_login", address, "critical")
    if outcome == "not trusted":
        yield finding("routerboard_certificate", address, "critical", facts["error"])
    if outcome != "answered":
        why = outcome if is_there else "no answer"
        for code in ("routeros_update", "routerboard_cpu", "routerboard_memory", "routerboard_disk"):
            yield unmeasured(code, address, why)
        return
    yield from _versions(facts)
    yield from _load(facts, thresholds)


def _versions(facts: Mapping[str, Any]) -> Iterator[Finding]:
    name, update, firmware = facts["name"], facts["update"], facts["firmware"]
    installed = update["installed"] or facts["version"]
    if not update["latest"]:
        yield unmeasured("routeros_update", name, "the router has not looked")
    elif update["latest"] == installed:
        yield finding("routeros_update", name, "good", installed)
    else:
        yield finding("routeros_update", name, "warning", installed, "", update["latest"])
    if firmware["current"] and firmware["upgrade"]:
        severity = "good" if firmware["current"] == firmware["upgrade"] else "notice"
        named = firmware["upgrade"] if severity == "notice" else None
        yield finding("routerboard_firmware", name, severity, firmware["current"], "", named)


def _load(facts: Mapping[str, Any], thresholds: Mapping[str, Any]) -> Iterator[Finding]:
    name = facts["name"]
    if facts["uptime_seconds"] is not None:
        days = round(facts["uptime_seconds"] / _DAY, 1)
        least = thresholds["restarted_days"]
        yield finding("routerboard_uptime", name, "notice" if days < least else "good", days, "days", least)
    used = {
        "routerboard_cpu": ("cpu", facts["cpu_percent"]),
        "routerboard_memory": ("memory", _used(facts["memory"])),
        "routerboard_disk": ("disk", _used(facts["disk"])),
    }
    for code, (what, percent) in used.items():
        if percent is None:
            yield unmeasured(code, name, "the device does not say")
        else:
            yield at_most(code, name, percent, "%", *limits(thresholds, what))
    for sensor, degrees in facts["health"].items():
        if "temperature" in sensor:
            yield at_most(
                "routerboard_temperature", sensor, degrees, "celsius", *limits(thresholds, "temperature")
            )


def _used(space: Mapping[str, int] | None) -> float | None:
    if space is None:
        return None
    return round(_PERCENT * (space["total"] - space["free"]) / space["total"], 1)
