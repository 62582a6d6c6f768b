"""A lab of its own for the services around an office's computers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from labs import raised
from service_field import LAB, Office

from lab import driver, faults
from lab.layout import SERVICES


@pytest.fixture(scope="session", name="lab_inventory")
def _lab_inventory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Bring up two hosts for the campaign and take them down at its end."""
    with raised(tmp_path_factory.mktemp("lab"), LAB, 2, SERVICES) as inventory:
        yield inventory


@pytest.fixture
def office(lab_inventory: Path, tmp_path: Path) -> Iterator[Office]:
    """Give the hosts to a test, and mend their network after it."""
    lab = driver.load(LAB)
    yield Office(lab, lab_inventory, tmp_path)
    for place in lab.hosts:
        faults.mend(lab, place)
