"""A lab of its own for the repairs: hosts of the Debian family, and one of the RHEL family."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from labs import raised
from repair_field import LAB, REDHAT_LAB, Site

from lab.layout import REDHAT


@pytest.fixture(scope="session", name="debian_inventory")
def _debian_inventory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with raised(tmp_path_factory.mktemp("lab"), LAB, 1) as inventory:
        yield inventory


@pytest.fixture(scope="session", name="redhat_inventory")
def _redhat_inventory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with raised(tmp_path_factory.mktemp("lab"), REDHAT_LAB, 1, REDHAT) as inventory:
        yield inventory


@pytest.fixture
def site(debian_inventory: Path, tmp_path: Path) -> Site:
    """Give a fresh host of the Debian family to a test."""
    return Site.fresh(LAB, "web1", debian_inventory, tmp_path)


@pytest.fixture
def redhat_site(redhat_inventory: Path, tmp_path: Path) -> Site:
    """Give a fresh host of the RHEL family to a test."""
    return Site.fresh(REDHAT_LAB, "rhel1", redhat_inventory, tmp_path)
