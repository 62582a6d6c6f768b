"""What all judges share: how a measured value becomes a finding.

A judge takes the facts of one host and its thresholds and returns findings. The action plugin of a role calls
it on the controller, in a process that is started for every host: nothing heavy is imported here.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Any

Finding = dict[str, Any]
"""The fields of ``runner.checks.CheckFinding``."""

_LONGEST = 300


def finding(  # noqa: PLR0917 - the fields of a finding, in their order
    code: str,
    subject: str,
    severity: str,
    measured: float | str | None = None,
    unit: str = "",
    threshold: float | str | None = None,
) -> Finding:
    """Return one finding; what came from the host is cut to a length that a table can show."""
    return {
        "code": code,
        "subject": subject[:_LONGEST],
        "severity": severity,
        "measured": measured[:_LONGEST] if isinstance(measured, str) else measured,
        "unit": unit,
        "threshold": threshold,
        "why": "",
    }


def unmeasured(code: str, subject: str, why: str) -> Finding:
    """Return the finding of what could not be measured, and why not."""
    return {**finding(code, subject, "unmeasured"), "why": why[:_LONGEST]}


def at_most(  # noqa: PLR0917 - reads as a line of a table
    code: str,
    subject: str,
    measured: float,
    unit: str,
    warning: float | None,
    critical: float | None,
) -> Finding:
    """Judge a value that is bad when it is high; at a threshold it is bad already. None: not judged."""
    return _judged(code, subject, measured, unit, (warning, critical), operator.ge)


def at_least(  # noqa: PLR0917 - reads as a line of a table
    code: str,
    subject: str,
    measured: float,
    unit: str,
    warning: float | None,
    critical: float | None,
) -> Finding:
    """Judge a value that is bad when it is low; at a threshold it is bad already. None: not judged."""
    return _judged(code, subject, measured, unit, (warning, critical), operator.le)


def limits(thresholds: Mapping[str, Any], name: str) -> tuple[float | None, float | None]:
    """Return from where on a value is a warning, and from where on it is critical."""
    return thresholds[f"{name}_warning"], thresholds[f"{name}_critical"]


def _judged(  # noqa: PLR0917 - as above
    code: str,
    subject: str,
    measured: float,
    unit: str,
    thresholds: tuple[float | None, float | None],
    is_bad: Callable[[float, float], bool],
) -> Finding:
    warning, critical = thresholds
    if critical is not None and is_bad(measured, critical):
        return finding(code, subject, "critical", measured, unit, critical)
    if warning is not None and is_bad(measured, warning):
        return finding(code, subject, "warning", measured, unit, warning)
    return finding(code, subject, "good", measured, unit, warning if warning is not None else critical)
