"""A lab of its own for the repairs: hosts of the Debian family, and one of the RHEL family."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from repair_field import LAB, PROGRAMS, REDHAT_LAB, Site

from lab import driver
from lab.layout import HERMETIC, REDHAT


def _raised(name: str, profile: str, folder: Path) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        # testinfra looks for ansible's programs on the path.
        patch.setenv("PATH", str(PROGRAMS), prepend=os.pathsep)
        driver.up(driver.Wish(name=name, count=1, profile=profile, inventory=folder / "inventory"))
        try:
            yield folder / "inventory"
        finally:
            driver.down(name)


@pytest.fixture(scope="session", name="debian_inventory")
def _debian_inventory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield from _raised(LAB, HERMETIC, tmp_path_factory.mktemp("lab"))


@pytest.fixture(scope="session", name="redhat_inventory")
def _redhat_inventory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    yield from _raised(REDHAT_LAB, REDHAT, tmp_path_factory.mktemp("lab"))


@pytest.fixture
def site(debian_inventory: Path, tmp_path: Path) -> Site:
    """Give a fresh host of the Debian family to a test."""
    return Site.fresh(LAB, "web1", debian_inventory, tmp_path)


@pytest.fixture
def redhat_site(redhat_inventory: Path, tmp_path: Path) -> Site:
    """Give a fresh host of the RHEL family to a test."""
    return Site.fresh(REDHAT_LAB, "rhel1", redhat_inventory, tmp_path)
