"""What several runs of a SOP come to side by side: the points that the charts of a report are drawn from.

A point is made of the data of a run's newest document. When a run starts it keeps the points of the sealed
runs before it, so that its documents come out the same later, whatever the archive holds then. Pure rules.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from statistics import median
from typing import Any, Literal

from runner import models
from runner.findings import Finding
from runner.host_facts import HostFacts

MOST_RUNS = 12
"""A year of monthly runs."""
MOST_WAITING = 20_000
_DAY = 86400.0

Update = tuple[str, str, str]
"""Host, package, version to come."""


class RowPoint(Finding):
    """How long a run worked on a row, all attempts together, and the row's standard time; seconds."""

    no: int
    work: float
    standard: int | None


class Recurring(Finding):
    """Something not good that was found on a host."""

    host: str
    code: str
    subject: str


class Point(Finding):
    """One run: when its newest document was made, and what it came to."""

    run: str
    at: str
    hosts: int
    open_cves: int
    closed_cves: int
    latency_days: float | None
    """Median over the updates in effect, from the first plan naming one to the document; None for none."""
    rows: tuple[RowPoint, ...]
    found: tuple[Recurring, ...]


class Waiting(Finding):
    """An update that was planned and is not in effect, and the moment of the first plan that named it."""

    host: str
    package: str
    to: str
    since: str


class Trends(Finding):
    """What a run keeps of the sealed runs before it, oldest first."""

    format: Literal[1] = 1
    points: tuple[Point, ...] = ()
    waiting: tuple[Waiting, ...] = ()

    def snapshot(self) -> bytes:
        """Return what the run keeps; ``from_snapshot`` reads it back."""
        return models.kept(self)

    @staticmethod
    def from_snapshot(data: bytes, name: str) -> Trends:
        """Read what ``snapshot`` wrote.

        Raises:
            VerificationError: when it is something else.
        """
        return models.from_kept(Trends, data, name, what="what earlier runs came to")

    def seen(self) -> dict[Update, str]:
        """Return since when each update waits."""
        return {(each.host, each.package, each.to): each.since for each in self.waiting}


def trends_of(documents: Iterable[Mapping[str, Any]]) -> Trends:
    """Return the trends of runs, told by the data of each one's newest document, oldest first.

    Raises:
        ValidationError, LookupError: when data has not the shape that documents know.
    """
    seen: dict[Update, str] = {}
    points = []
    for said in documents:
        hosts = [HostFacts.model_validate(host) for host in said["hosts"]]
        points.append(point_of(said, hosts, seen))
    waiting = sorted(seen.items())[:MOST_WAITING]
    told = tuple(Waiting(host=h, package=p, to=to, since=since) for (h, p, to), since in waiting)
    return Trends(points=tuple(points[-MOST_RUNS:]), waiting=told)


def point_of(said: Mapping[str, Any], hosts: Sequence[HostFacts], seen: dict[Update, str]) -> Point:
    """Return the point of a run and take into ``seen`` what it planned, out of it what is in effect."""
    planned = [(host, update) for host in hosts if host.plan for update in host.plan.updates]
    days = []
    for host, update in planned:
        key = (host.host, update.package, update.to)
        since = seen.setdefault(key, said["plan"]["made_at"] if said["plan"] else said["made_at"])
        if host.now(update) == "in_effect":
            days.append((_moment(said["made_at"]) - _moment(since)).total_seconds() / _DAY)
            del seen[key]
    return Point(
        run=said["run"],
        at=said["made_at"],
        hosts=len(hosts),
        open_cves=sum(1 for cve in said["cves"] if cve["open_on"]),
        closed_cves=sum(1 for cve in said["cves"] if not cve["open_on"]),
        latency_days=round(median(days), 2) if days else None,
        rows=tuple(
            RowPoint(no=row["no"], work=round(row["work"], 1), standard=row["standard_seconds"])
            for row in said["rows"]
            if row["tries"]
        ),
        found=tuple(
            sorted(
                {
                    Recurring(host=host.host, code=found.code, subject=found.subject)
                    for host in hosts
                    if host.check
                    for found in host.check.not_good
                },
                key=lambda each: (each.host, each.code, each.subject),
            )
        ),
    )


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
