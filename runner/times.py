"""What a person at the terminal sees of a run's times: by row, on whom it waited, what is over and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Group
from rich.table import Table
from rich.text import Text

from runner import wording
from runner.clock import Instant
from runner.display import display
from runner.reasons import condition_told, reasons_given
from runner.record import Record
from runner.timing import StepTime, Wait, elapsed

_MINUTE, _HOUR = 60, 3600
_CELL = 11


def seconds_text(seconds: float) -> str:
    """Return a duration for the terminal: ``2 h 05 min``, ``3 min 20 s``, ``4.2 s``."""
    if seconds >= _HOUR:
        return f"{int(seconds // _HOUR)} h {int(seconds % _HOUR // _MINUTE):02d} min"
    if seconds >= _MINUTE:
        return f"{int(seconds // _MINUTE)} min {int(seconds % _MINUTE):02d} s"
    return f"{seconds:.1f} s"


def wall_text(at: datetime, zone: ZoneInfo, *, after: datetime | None = None) -> str:
    """Return a moment in the office's zone: ``2026-11-21 21:05:09 WIB``; no day if it is ``after``'s."""
    local = at.astimezone(zone)
    same_day = after is not None and after.astimezone(zone).date() == local.date()
    day = "" if same_day else f"{local:%Y-%m-%d} "
    return f"{day}{local:%H:%M:%S} {wording.zone_name(at, zone)}"


def times_view(record: Record, times: Sequence[StepTime], now: Instant | None = None) -> Group:
    """Return the times of every row against its standard time, and what there is to say about them."""
    zone = ZoneInfo(record.roster.timezone)
    told = condition_told(record.events)
    lines: list[Any] = [_table(record, times)]
    if any(step.span for step in record.sop.steps):
        lines.append(
            Text(
                "Rows that go on beside others are counted each for itself: rows do not add up.", style="dim"
            )
        )
    lines.append(Text(f"Elapsed: {seconds_text(elapsed(record.events, now))}"))
    condition = (
        f"{told['condition']} {display(told['reason'])}".rstrip() if told else "nobody has said it yet"
    )
    lines.append(Text(f"Conditions: {condition}"))
    about = [line for time in times for line in _about(record, time, zone)]
    return Group(*lines, *([_grid(about)] if about else []))


def _table(record: Record, times: Sequence[StepTime]) -> Table:
    table = Table(title="Time per row", title_justify="left", header_style="bold", expand=True)
    table.add_column("Row", justify="right", no_wrap=True, min_width=6)
    table.add_column("Kegiatan", ratio=1, overflow="ellipsis", no_wrap=True)
    # Short enough for 80 columns: the numbers are never cut, the wording of the row is.
    for column, width in (("Work", _CELL), ("Waiting", _CELL), ("Standard", 8), ("Deviation", 12)):
        table.add_column(column, justify="right", no_wrap=True, min_width=width)
    for time in times:
        step = record.sop.step(time.step)
        spans = seconds_text(time.work), seconds_text(time.waiting)
        cells = (*spans, step.waktu or "-", _signed(time.deviation))
        table.add_row(_number(time), step.kegiatan, *cells, style="yellow" if time.over else "")
    return table


def _signed(deviation: float | None) -> str:
    if deviation is None:
        return "-"
    return f"{'+' if deviation > 0 else '-'}{seconds_text(abs(deviation))}"


def _number(time: StepTime) -> str:
    return f"{time.step}" if time.attempt == 1 else f"{time.step} ({time.attempt})"


def _grid(about: Sequence[tuple[str, str, str]]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(justify="right", no_wrap=True)
    table.add_column(overflow="fold")
    for number, text, style in about:
        table.add_row(Text(number, style="bold"), Text(text, style=style))
    return table


def _about(record: Record, time: StepTime, zone: ZoneInfo) -> Iterator[tuple[str, str, str]]:
    """Yield (row, what there is to say of it, style); the row stands only before its first line."""
    lines = [(_when(time, zone), "")]
    lines += [(f"waited {seconds_text(wait.seconds)} for {_whom(wait)}", "magenta") for wait in time.waits]
    lines += [(line, "yellow") for line in _remarks(record, time)]
    for index, (line, style) in enumerate(lines):
        yield ("" if index else f"row {_number(time)}", line, style)


def _when(time: StepTime, zone: ZoneInfo) -> str:
    began = wall_text(time.started.at, zone)
    if time.finished is None:
        return f"since {began}, under way"
    return f"{began} to {wall_text(time.finished.at, zone, after=time.started.at)}"


def _whom(wait: Wait) -> str:
    return {"official": wait.position, "operator": "the operator", "window": "the maintenance window"}[
        wait.on
    ]


def _remarks(record: Record, time: StepTime) -> Iterator[str]:
    told = reasons_given(record.events).get((time.step, time.attempt))
    if told:
        yield f"over because: {display(told['reason'])} ({display(told['person']['name'])})"
    elif time.over and time.finished:
        which = f"--row {time.step} --attempt {time.attempt}" if time.attempt > 1 else f"--row {time.step}"
        yield f"over, no reason given: rawat note {record.folder.name} {which} --reason '...'"
    for seconds in time.shifts:
        way = "forward" if seconds > 0 else "back"
        span = seconds_text(abs(seconds))
        yield f"the wall clock was set {way} by {span}; durations are measured without it"
    if time.reboots:
        yield "the measurement goes across a reboot; for that span the wall clock was used"
