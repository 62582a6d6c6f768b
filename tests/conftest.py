"""Shared by all tests; being here also makes ``tests/fakes.py`` importable as ``fakes``."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

ROOT = Path(__file__).parent.parent
SHARED_LAB = "tests/roles/"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the golden copies of documents be made anew: ``make golden``."""
    parser.addoption("--renew-golden", action="store_true", help="write tests/golden anew")


def pytest_configure() -> None:
    """Let Ctrl-C be Ctrl-C: a shell starts what runs in its background with that signal ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the labs when tests run side by side: they take longest."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.get_closest_marker("lab") is None)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    """Give each file to one worker, and the roles' files to the same one: they share a lab."""
    return _LabScheduling(config, log)


class _LabScheduling(LoadFileScheduling):
    def _split_scope(self, nodeid: str) -> str:
        return SHARED_LAB if nodeid.startswith(SHARED_LAB) else super()._split_scope(nodeid)


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the root of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def data() -> Path:
    """Return the folder of the tests' data."""
    return ROOT / "tests" / "data"
