"""What checking a host came to: the one shape that every role whose name begins with ``check_`` publishes.

``facts`` are the values as they were measured. ``findings`` say how each of them was judged against the
thresholds of that host, on the controller and never by the host. What could not be measured is said so: it
is never good. Sentences for officials are no part of it: ``runner.sentences`` words them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from runner.kinds import Kind

Severity = Literal["good", "notice", "warning", "critical", "unmeasured"]
WORST_FIRST: tuple[Severity, ...] = ("critical", "warning", "unmeasured", "notice", "good")

Value = Annotated[int | float | str | None, Field(union_mode="left_to_right")]
_Word = Annotated[str, Field(max_length=60, pattern=r"^[a-z][a-z0-9_]*$")]


class _Model(BaseModel):
    # Keys of a newer role are left out, so that it does not stop an older document.
    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, allow_inf_nan=False)


class CheckFinding(_Model):
    """One thing that was looked at, and how it is."""

    code: _Word
    subject: str = ""
    """Which disk, unit, port, ...; empty when there is only one."""
    severity: Severity
    measured: Value = None
    unit: str = ""
    """One of ``runner.sentences.UNITS``."""
    threshold: Value = None
    """What ``measured`` was held against; None when it was not, or was not over any."""
    why: str = ""
    """Of what is unmeasured: the reason."""


class Check(_Model):
    """Everything that was looked at on one host."""

    kind: Kind
    facts: dict[str, Any] = {}
    findings: Annotated[tuple[CheckFinding, ...], Field(strict=False)] = ()

    @property
    def not_good(self) -> tuple[CheckFinding, ...]:
        """Return what is not good, the worst first."""
        found = (finding for finding in self.findings if finding.severity != "good")
        return tuple(sorted(found, key=lambda finding: WORST_FIRST.index(finding.severity)))

    @property
    def disturbing(self) -> tuple[CheckFinding, ...]:
        """Return what makes the host disturbed: a warning alone does not, what was not measured does."""
        return tuple(finding for finding in self.not_good if finding.severity in {"critical", "unmeasured"})
