"""What the role ``repair_host`` publishes: a host's disturbances, their known cures, and what came of those.

Everything here was said by a host. It is checked for its type here and escaped where it is shown.
"""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

Disturbance = Literal[
    "disk_full", "lock_stale", "packages_unfinished", "time_sync_off", "certificate_expired", "unit_dead"
]
CureCode = Literal[
    "clean_package_cache",
    "vacuum_journal",
    "remove_rotated_logs",
    "remove_lock",
    "configure_packages",
    "start_time_sync",
    "renew_certificate",
    "start_unit",
]
DISTURBANCES: tuple[Disturbance, ...] = get_args(Disturbance)
CURE_CODES: tuple[CureCode, ...] = get_args(CureCode)
Outcome = Literal["done", "not needed", "failed", "not allowed", "not done (check mode)"]
Measured = dict[str, str | float | bool]
"""What was measured, by name: ``percent``, ``days_left``, ``state``, ..."""


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)


class RemovedFile(_Model):
    """A file that a cure removes, and what it has to be like for that."""

    path: str
    bytes: int
    modified: int
    """Seconds since 1970."""


class UnfinishedPackage(_Model):
    """A package that dpkg has unpacked and not configured."""

    package: str
    version: str
    state: str = ""


class Does(_Model):
    """Exactly what a cure would do; which of these is given depends on the cure."""

    unit: str = ""
    path: str = ""
    files: tuple[RemovedFile, ...] = ()
    more: int = 0
    """Files beyond those that are listed, which stay."""
    bytes: int = 0
    keep_bytes: int = 0
    packages: tuple[UnfinishedPackage, ...] = ()
    hook: tuple[str, ...] = ()
    sha256: str = ""


class Repair(_Model):
    """One disturbance with one cure; ``cure`` is empty where none is known, and ``reason`` says why."""

    id: str
    code: Disturbance
    subject: str
    found: Measured = Field(default_factory=dict)
    cure: CureCode | Literal[""] = ""
    does: Does = Does()
    risk: Literal["low", "medium"] = "low"
    needs: tuple[str, ...] = ()
    reason: str = ""
    detail: str = ""


class Unseen(_Model):
    """A disturbance of which it is not known whether it is there."""

    code: Disturbance
    subject: str = ""
    reason: str
    detail: str = ""


class Cure(_Model):
    """What came of one approved cure."""

    id: str
    code: Disturbance
    subject: str
    cure: CureCode | Literal[""]
    outcome: Outcome
    reason: str = ""
    detail: str = ""
    proof: Measured = Field(default_factory=dict)
    freed_bytes: int = 0
    seconds: float = 0
    log_tail: str = ""


class RepairHost(_Model):
    """What looking at a host for disturbances, and curing them, came to."""

    outcome: Literal["looked", "repaired", "failed", "not repaired (check mode)"]
    family: Literal["debian", "redhat", "other"] = "other"
    repairs: tuple[Repair, ...] = ()
    unmeasured: tuple[Unseen, ...] = ()
    not_here: tuple[Unseen, ...] = ()
    cures: tuple[Cure, ...] = ()
