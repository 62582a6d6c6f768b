"""A command of a test ends at its limits, whatever the host does."""

from __future__ import annotations

import pytest
from testinfra.backend.base import CommandResult
from testinfra.backend.local import LocalBackend

from runner.executors import suite_limits


@pytest.fixture(name="backend")
def _backend() -> LocalBackend:
    return LocalBackend()


def run(backend: LocalBackend, command: str) -> CommandResult:
    return suite_limits.run_local(backend, command)


def test_a_command_within_the_limits_tells_what_it_told(backend: LocalBackend) -> None:
    found = run(backend, "printf out; printf err >&2; exit 3")

    assert (found.rc, found.stdout, found.stderr) == (3, "out", "err")


def test_a_flood_is_cut_and_counts_as_lost(backend: LocalBackend) -> None:
    found = run(backend, "head -c 1000000000 /dev/zero")

    assert (found.rc, found.stdout) == (255, "")
    assert found.stderr.startswith("[truncated]")


def test_a_slow_drip_ends_at_the_limit(backend: LocalBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suite_limits, "SECONDS", 1.0)

    found = run(backend, "while :; do echo x; sleep 0.1; done")

    assert (found.rc, found.stdout) == (255, "")
    assert "tidak selesai" in found.stderr
