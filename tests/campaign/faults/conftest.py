"""A lab of its own for the faults of hosts, and the figures that the campaign measured."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from field import LAB, ROOT, Field, Figure
from labs import raised

from lab import driver, faults

FIGURES = ROOT / "build" / "campaign-faults.json"
measured: dict[str, dict[str, object]] = {}


@pytest.fixture(scope="session", name="lab_inventory")
def _lab_inventory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Bring up five hosts for the campaign and take them down at its end."""
    with raised(tmp_path_factory.mktemp("lab"), LAB, 5) as inventory:
        yield inventory


@pytest.fixture
def field(lab_inventory: Path, tmp_path: Path) -> Iterator[Field]:
    """Give the hosts to a test, and mend their network after it."""
    lab = driver.load(LAB)
    yield Field(lab, lab_inventory, tmp_path)
    for place in lab.hosts:
        faults.mend(lab, place)


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Figure:
    """Return a function that keeps what a test measured, under the row of the fault table."""

    def keep(row: int, **numbers: object) -> None:
        measured[request.node.nodeid] = {"row": row, **numbers}

    return keep


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the figures and keep them; tests that did not run keep their last ones."""
    if not measured:
        return
    kept = json.loads(FIGURES.read_text(encoding="utf-8")) if FIGURES.exists() else {}
    FIGURES.parent.mkdir(exist_ok=True)
    FIGURES.write_text(json.dumps(kept | measured, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    terminalreporter.section("figures")
    for name, numbers in sorted(measured.items(), key=lambda item: str(item[1]["row"]).zfill(3)):
        told = ", ".join(f"{key} {value}" for key, value in numbers.items() if key != "row")
        terminalreporter.write_line(f"row {numbers['row']}: {told}  ({name.rpartition('::')[2]})")
    rows = {numbers["row"] for numbers in measured.values()}
    terminalreporter.write_line(f"{len(measured)} figures of {len(rows)} rows, kept in {FIGURES}")
