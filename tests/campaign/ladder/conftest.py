"""A lab of its own for going back: one host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from labs import raised
from ladder_field import LAB, LadderField


@pytest.fixture(scope="session", name="lab_inventory")
def _lab_inventory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Bring up a host for the campaign and take it down at its end."""
    with raised(tmp_path_factory.mktemp("lab"), LAB, 1) as inventory:
        yield inventory


@pytest.fixture
def field(lab_inventory: Path, tmp_path: Path) -> LadderField:
    """Give the host to a test."""
    return LadderField(lab_inventory, tmp_path)
