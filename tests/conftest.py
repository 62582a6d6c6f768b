"""Shared by all tests; being here also makes ``tests/fakes.py`` importable as ``fakes``."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def pytest_configure() -> None:
    """Let Ctrl-C be Ctrl-C: a shell starts what runs in its background with that signal ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give each file's tests to one worker, labs first: they take longest, and a lab's hosts serve one only.

    The tests of the roles share one lab, so they are one group.
    """
    if not hasattr(config, "workerinput"):
        return
    for item in items:
        place = item.path.parent if item.path.parent.name == "roles" else item.path
        item.add_marker(pytest.mark.xdist_group(place.name))
    items.sort(key=lambda item: item.get_closest_marker("lab") is None)


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the root of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def data() -> Path:
    """Return the folder of the tests' data."""
    return ROOT / "tests" / "data"
