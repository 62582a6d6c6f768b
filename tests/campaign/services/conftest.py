"""A lab of its own for the services around an office's computers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from service_field import LAB, PROGRAMS, Office

from lab import driver, faults
from lab.layout import SERVICES


@pytest.fixture(scope="session", name="lab_inventory")
def _lab_inventory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Bring up two hosts for the campaign and take them down at its end."""
    inventory = tmp_path_factory.mktemp("lab") / "inventory"
    with pytest.MonkeyPatch.context() as patch:
        # testinfra looks for ansible's programs on the path.
        patch.setenv("PATH", str(PROGRAMS), prepend=os.pathsep)
        driver.up(driver.Wish(name=LAB, count=2, profile=SERVICES, inventory=inventory))
        try:
            yield inventory
        finally:
            driver.down(LAB)


@pytest.fixture
def office(lab_inventory: Path, tmp_path: Path) -> Iterator[Office]:
    """Give the hosts to a test, and mend their network after it."""
    lab = driver.load(LAB)
    yield Office(lab, lab_inventory, tmp_path)
    for place in lab.hosts:
        faults.mend(lab, place)
