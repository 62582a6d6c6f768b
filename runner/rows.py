"""The rows of a run's SOP as the terminal shows them: what is done, where it is, what is still to come."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from runner.display import display
from runner.procedure import Procedure, Row, Standing, procedure_of, standings
from runner.sop import Sop
from runner.timing import StepTime

# Told by a word and by a colour: one of them is enough to read it.
_SHOWN: dict[Standing | None, tuple[str, str]] = {
    "done": ("done", "green"),
    "current": ("HERE", "bold yellow"),
    "not_reached": ("", "dim"),
    None: ("", ""),
}


def rows_view(sop: Sop, times: Sequence[StepTime]) -> Table:
    """Return the SOP's rows with where each leads, and how each stands by these times."""
    procedure = procedure_of(sop, standings(sop, times))
    table = Table(title="Rows", title_justify="left", header_style="bold", expand=True)
    table.add_column("", no_wrap=True, min_width=4)
    table.add_column("Row", justify="right", no_wrap=True)
    table.add_column("Kegiatan", ratio=3, overflow="ellipsis", no_wrap=True)
    table.add_column("Pelaksana", ratio=2, overflow="ellipsis", no_wrap=True)
    table.add_column("Then", ratio=2, overflow="fold")
    for row in procedure.rows:
        word, style = _SHOWN[row.standing]
        cells = (word, str(row.no), display(row.activity), _positions(procedure, row), _exits(row))
        table.add_row(*map(Text, cells), style=style)
    return table


def _positions(procedure: Procedure, row: Row) -> str:
    return display(", ".join(procedure.actors[lane] for lane in row.lanes)) if row.has_actor else ""


def _exits(row: Row) -> str:
    return "\n".join(f"{display(e.label)}: {_target(e.to)}" if e.label else _target(e.to) for e in row.exits)


def _target(to: int | None) -> str:
    return "end" if to is None else str(to)
