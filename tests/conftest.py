"""Shared by all tests; being here also makes ``tests/fakes.py`` importable as ``fakes``."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the root of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def data() -> Path:
    """Return the folder of the tests' data."""
    return ROOT / "tests" / "data"
