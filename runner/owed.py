"""Which hosts could a run not maintain? Pure: a fold over its journal.

A host is owed when it was unreachable or unknown the last time that something was tried on it, when its wave
was left out, or when the run was given up before its turn.
A host whose change was announced and never told of is unknown, once the run is given up. Then:
1. What failed, or was taken back, is not owed: it was reached, and is told as failed.
2. A host that owes from an earlier run stays so until it was changed, or found to need nothing. Since when,
   and since which run, stays what it was; the reason is the newest.
3. A later try on the host replaces an earlier one; a new plan forgets what was left out under the one before.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from runner.clock import format_utc
from runner.journal import Event
from runner.waves import in_natural_order

UNREACHABLE, UNKNOWN, LEFT_OUT, STOPPED = REASONS = ("unreachable", "unknown", "left out", "stopped")
_TRIES = frozenset({"playbook", "reprobe", "reboot", "recover"})
_GIVEN_UP = frozenset({"run_stopped", "gate_closed"})


@dataclass(frozen=True)
class OwedHost:
    """A host that still has to be maintained."""

    host: str
    run: str
    """The run that first owed it."""
    since: str
    """When that was, UTC, as the journal writes it."""
    reason: str
    """One of ``REASONS``."""


def owed_hosts(events: Iterable[Event], *, abandoned: bool = False) -> tuple[OwedHost, ...]:
    """Return the hosts that are owed after these events, in natural order.

    Args:
        events: the journal, or its beginning up to the moment of interest.
        abandoned: nobody goes on with this run, although it was not closed.
    """
    fold = _Fold()
    for event in events:
        fold.apply(event)
    return fold.owed(abandoned=abandoned)


class _Fold:
    def __init__(self) -> None:
        self._run = ""
        self._hosts: list[str] = []
        self._carried: dict[str, OwedHost] = {}
        self._own: dict[str, OwedHost] = {}
        self._current: set[str] = set()
        self._begun: set[str] = set()
        self._silent: set[str] = set()
        self._changing = False
        self._ok: dict[tuple[int, int], set[str]] = {}
        self._given_up = False
        self._finished = False
        self._last: Event | None = None

    def apply(self, event: Event) -> None:
        self._last = event
        match event.name:
            case "run_started":
                self._run = event["run"]
                self._hosts = event["inventory"]["hosts"]
                self._carried = {owed["host"]: OwedHost(**owed) for owed in event["owed"]}
            case "action_started":
                self._changing = event["changes"]
                if event["changes"]:
                    self._begun.update(event["hosts"])
                    self._silent.update(event["hosts"])
            case "action_finished" if event["kind"] == "cure":
                # What was cured is well, not maintained: only whether it answered is told by it.
                self._silent.difference_update(event["hosts"])
            case "action_finished" if event["kind"] in _TRIES:
                self._tried(event)
            case "action_skipped" if event["kind"] == "playbook":
                for host in event["hosts"]:
                    self._owe(host, LEFT_OUT, event)
            case "plan_made":
                self._planned(event)
            case "run_finished":
                self._finished = True
        self._given_up = self._given_up or event.name in _GIVEN_UP

    def _tried(self, event: Event) -> None:
        self._silent.difference_update(event["hosts"])
        for host, status in event["hosts"].items():
            if status in {UNREACHABLE, UNKNOWN}:
                self._owe(host, status, event)
                continue
            self._own.pop(host, None)
            if self._changing:
                self._carried.pop(host, None)
        ok = {host for host, status in event["hosts"].items() if status == "ok"}
        self._ok.setdefault((event["step"], event["attempt"]), set()).update(ok)

    def _planned(self, event: Event) -> None:
        self._begun = set()
        self._current = self._ok.get((event["step"], event["attempt"]), set()) - set(event["hosts"])
        for host in self._current:
            self._carried.pop(host, None)
        for host in event["hosts"]:
            self._own.pop(host, None)

    def _owe(self, host: str, reason: str, event: Event) -> None:
        self._own[host] = OwedHost(host, self._run, format_utc(event.instant.at), reason)

    def owed(self, *, abandoned: bool) -> tuple[OwedHost, ...]:
        found = dict(self._own)
        if self._last and (self._given_up or (abandoned and not self._finished)):
            at = format_utc(self._last.instant.at)
            for host in self._silent:
                found[host] = OwedHost(host, self._run, at, UNKNOWN)
            for host in set(self._hosts) - self._begun - self._current:
                found.setdefault(host, OwedHost(host, self._run, at, STOPPED))
        for host, first in self._carried.items():
            newest = found.get(host, first)
            found[host] = replace(first, reason=newest.reason)
        return tuple(found[host] for host in in_natural_order(found))
