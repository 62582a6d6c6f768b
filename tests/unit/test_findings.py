"""When a host counts as disturbed."""

from __future__ import annotations

from typing import Any

import pytest

from runner.findings import is_disturbed
from runner.judges.base import at_most, unmeasured


def checked(*findings: dict[str, Any]) -> dict[str, Any]:
    return {"check_host": {"kind": "computer", "facts": {}, "findings": list(findings)}}


@pytest.mark.parametrize(
    ("status", "results", "told"),
    [
        ("ok", {}, False),
        ("ok", checked(at_most("memory", "", 40, "%", 90, 97)), False),
        ("ok", checked(at_most("memory", "", 91, "%", 90, 97)), False),
        ("ok", checked(at_most("memory", "", 98, "%", 90, 97)), True),
        ("ok", checked(unmeasured("memory", "", "no answer")), True),
        ("failed", {}, True),
        ("unreachable", {}, True),
        ("unknown", {}, True),
        ("ok", {"check_host": "not a check"}, True),
        ("ok", {"check_website": {"kind": "website", "facts": {}, "findings": [{"severity": "good"}]}}, True),
        ("ok", {"plan_updates": {"updates": "not a list"}}, False),
    ],
)
def test_a_host_is_disturbed(status: str, results: dict[str, Any], told: bool) -> None:  # noqa: FBT001 - a table
    assert is_disturbed(status, results) is told
