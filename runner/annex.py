"""What an annex of many hosts says: every host in a row, and which updates hosts have in common. Pure.

A document that is signed stays short: of more than ``MOST_TOLD`` hosts it names the exceptions. All hosts
stand in its annexes, PDF files of their own whose digests it prints. An annex has at most ``MOST_ROWS`` rows,
so that what making one takes does not grow with the number of hosts; more hosts make more annexes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from runner.findings import Update
from runner.host_facts import HostFacts
from runner.view import MOST_TOLD, DocumentView

MOST_ROWS = 1200
MOST_ANNEXES = 99
"""So many are looked for beside a document that was being made when the machine went off."""


@dataclass(frozen=True)
class UpdateGroup:
    """Updates that were planned alike for some hosts; numbered from 1."""

    number: int
    hosts: int
    updates: tuple[Update, ...]


@dataclass(frozen=True)
class HostRow:
    """A host, numbered from 1, and the group of its updates, 0 for none."""

    number: int
    host: HostFacts
    group: int


@dataclass(frozen=True)
class Annex:
    """One annex of a document: rows of hosts, then groups of updates."""

    number: int
    count: int
    """How many annexes the document has."""
    rows: tuple[HostRow, ...]
    groups: tuple[UpdateGroup, ...]


def annexes(view: DocumentView) -> tuple[Annex, ...]:
    """Return the annexes of a document, none for few hosts."""
    if len(view.hosts) <= MOST_TOLD:
        return ()
    rows, groups = _rows(view)
    parts: list[tuple[list[HostRow], list[UpdateGroup]]] = [([], [])]
    room = MOST_ROWS
    items: list[HostRow | UpdateGroup] = [*rows, *groups]
    for item in items:
        size = 1 if isinstance(item, HostRow) else 1 + len(item.updates)
        if size > room and room < MOST_ROWS:
            parts.append(([], []))
            room = MOST_ROWS
        room -= size
        if isinstance(item, HostRow):
            parts[-1][0].append(item)
        else:
            parts[-1][1].append(item)
    return tuple(
        Annex(number, len(parts), tuple(rows), tuple(groups))
        for number, (rows, groups) in enumerate(parts, start=1)
    )


def annex_name(view: DocumentView, number: int) -> str:
    """Return the name of the file of an annex."""
    return f"{view.step:02d}-{view.attempt}-{view.document}-{view.version}.lampiran-{number}.pdf"


def _rows(view: DocumentView) -> tuple[list[HostRow], Iterator[UpdateGroup]]:
    numbers: dict[tuple[Update, ...], int] = {}
    rows = []
    for number, host in enumerate(view.hosts, start=1):
        updates = host.plan.updates if host.plan else ()
        group = numbers.setdefault(updates, len(numbers) + 1) if updates else 0
        rows.append(HostRow(number, host, group))
    groups = [row.group for row in rows]
    return rows, (UpdateGroup(number, groups.count(number), updates) for updates, number in numbers.items())
