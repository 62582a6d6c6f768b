"""The terminal that the commands speak to, and the argument that most of them take."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from runner import typed

console = Console(highlight=False)
error_console = Console(stderr=True, highlight=False)

RunArgument = Annotated[
    str | None,
    typer.Argument(metavar="RUN", callback=typed.name, help="Id of the run; the newest by default"),
]
