"""A lab of its own for going back: one host."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from ladder_field import LAB, PROGRAMS, LadderField

from lab import driver


@pytest.fixture(scope="session", name="lab_inventory")
def _lab_inventory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Bring up a host for the campaign and take it down at its end."""
    inventory = tmp_path_factory.mktemp("lab") / "inventory"
    with pytest.MonkeyPatch.context() as patch:
        # testinfra looks for ansible's programs on the path.
        patch.setenv("PATH", str(PROGRAMS), prepend=os.pathsep)
        driver.up(driver.Wish(name=LAB, count=1, inventory=inventory))
        try:
            yield inventory
        finally:
            driver.down(LAB)


@pytest.fixture
def field(lab_inventory: Path, tmp_path: Path) -> LadderField:
    """Give the host to a test."""
    return LadderField(lab_inventory, tmp_path)
