"""What the engine asks of an executor, and what it gets back.

An executor does one action on some hosts and reports a result per host. It decides nothing about the
order of work and writes nothing into the journal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

HostStatus = Literal["ok", "failed", "unreachable", "unknown"]


@dataclass(frozen=True)
class ActionRequest:
    """One action of one attempt on a fixed list of hosts."""

    run: str
    step: int
    attempt: int
    part: str
    hosts: tuple[str, ...]
    inventory: Path
    work: Path
    """A scratch folder (0700) of this action; never archived."""
    host_state: Path
    """A folder with <host>.json: {"plan": the host's plan entry, <role>: newest evidence of each role}."""
    plan: Path | None = None
    playbook: Path | None = None
    suite: Path | None = None
    changes: bool = False
    """The action may change its hosts: one that goes silent is ``unknown``, not ``unreachable``."""
    reattach: bool = False
    """Join the work that an earlier try left on its hosts and read what came of it; start none."""
    claim: Mapping[str, str] = field(default_factory=dict)
    """What a changed host is locked with: the run, ``started`` (digest of its first record), ``operator``."""
    ended: tuple[str, ...] = ()
    open_runs: tuple[str, ...] = ()
    """Digests of the first records of runs that are over here: a lock of theirs on a host is dead."""
    word: Path | None = None
    """A file with an official's signed word, which the action leaves on its hosts."""
    controllers: tuple[str, ...] = ()
    """Which of its hosts are, by the inventory, the machine that Rawat runs on."""
    earlier: Path | None = None
    """A file with what earlier runs measured: host -> place -> [[seconds since 1970, bytes used], ...]."""
    conffiles: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """host -> path -> ``keep`` or ``new``: what was decided for changed configuration files."""
    allowed_cures: tuple[str, ...] | None = None
    """Of a part that cures: the codes of the cures that somebody signed for, and no others."""
    reprobe: bool = False
    """The hosts are only asked whether they still are as the plan says."""
    phase: str = "after-update"
    timeout: float = 3 * 3600
    """Seconds after which the action is ended and its hosts are ``unknown``."""


@dataclass(frozen=True)
class Failure:
    """Why a host is not ``ok``: the Ansible task or test, and its message (capped, untrusted text)."""

    task: str
    message: str


@dataclass(frozen=True)
class HostResult:
    """What an action came to on one host; ``results`` holds one dict per role (or executor)."""

    host: str
    status: HostStatus
    results: dict[str, Any] = field(default_factory=dict)
    failure: Failure | None = None


@dataclass(frozen=True)
class ProgressEvent:
    """Something to show while an action works: a task began, or a host got one task further."""

    kind: Literal["task", "host"]
    text: str
    host: str = ""
    status: str = ""
    done: int = 0
    total: int = 0


Progress = Callable[[ProgressEvent], None]


class Executor(Protocol):
    """Does one kind of action."""

    def execute(self, request: ActionRequest, progress: Progress) -> tuple[HostResult, ...]:
        """Do the action and return one result per host of the request, in the request's order."""
        ...
