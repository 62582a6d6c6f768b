"""A lab of its own for backups: databases on one host, an sftp server on the other, S3 on the controller."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from backup_field import LAB, BackupField, S3Server
from labs import raised

from lab import driver, processes
from lab.layout import SERVICES
from lab.processes import Unit


@pytest.fixture(scope="session", name="lab_inventory")
def _lab_inventory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Bring up two hosts for the campaign and take them down at its end."""
    with raised(tmp_path_factory.mktemp("lab"), LAB, 2, SERVICES) as inventory:
        yield inventory


@pytest.fixture(scope="session", name="filled")
def _filled(lab_inventory: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Fill both kinds of databases on the first host."""
    field = BackupField(driver.load(LAB), lab_inventory, tmp_path_factory.mktemp("fill"))
    field.start_databases("svc1")
    field.fill_databases("svc1")


@pytest.fixture
def field(lab_inventory: Path, tmp_path: Path, filled: None) -> Iterator[BackupField]:
    """Give the hosts to a test, and let none stay frozen after it."""
    assert filled is None
    yield BackupField(driver.load(LAB), lab_inventory, tmp_path)
    processes.thaw(Unit(LAB, "svc2"))


@pytest.fixture
def s3(field: BackupField) -> Iterator[S3Server]:
    """Serve S3 on the controller, with one pair of keys."""
    with S3Server.started(field) as server:
        yield server
