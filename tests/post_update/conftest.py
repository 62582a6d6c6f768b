"""What the tests after an update (or after a rollback) know about a host, and how they treat a lost one.

Run by the SOP's testing row and by CI. The docstring of each test is its title in the minutes, hence in
Indonesian, and so are the messages of failing tests.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from testinfra.backend.base import CommandResult
from testinfra.host import Host

PHASES = ("after-update", "after-rollback")
SSH_FAILED = 255
UNITS = "rawat-apply-updates.service rawat-rollback-updates.service"
WORK_SECONDS = 3600
# First the call that works on the host and may be about to start its unit; then the unit, which outlives it.
WAIT_FOR_WORK = (
    f"timeout {WORK_SECONDS} sh -c '"
    "lock=/var/lib/rawat/work.lock; [ ! -e $lock ] || flock $lock true;"
    f" while systemctl --quiet is-active {UNITS}; do sleep 1; done'"
)
Ask = Callable[[str, list[str]], dict[str, Any]]
ON_HOST = Path(__file__).parent / "on_host"
# Those of the roles' own modules that can stand alone: one and the same code asks before and after.
SHARED = Path(__file__).parents[2] / "roles" / "plan_updates" / "module_utils"


class HostUnreachableError(RuntimeError):
    """The host was lost in an earlier test; asking it again would only wait for the time limit."""


@dataclass(frozen=True)
class Expectation:
    """What is known of a host: its plan entry, the newest evidence of each role, and what just happened."""

    phase: str
    known: dict[str, Any]

    @property
    def plan(self) -> dict[str, Any]:
        """The host's entry in the approved plan; empty when nothing was planned for it."""
        return self.known.get("plan") or {}

    @property
    def baseline(self) -> dict[str, Any]:
        """The state of the host before the change."""
        baseline: dict[str, Any] | None = self.known.get("record_baseline")
        if not baseline:
            pytest.fail("keadaan host sebelum pemutakhiran tidak tercatat", pytrace=False)
        return baseline

    @property
    def versions(self) -> dict[str, str]:
        """The version each planned package has to have now."""
        side = "to" if self.phase == "after-update" else "from"
        return {update["package"]: update[side] for update in self.plan.get("updates", [])}

    def evidence(self, role: str) -> dict[str, Any]:
        """The newest evidence of a role, empty when it did nothing on this host."""
        return self.known.get(role) or {}


OVER: set[str] = set()


@pytest.fixture(autouse=True)
def _work_is_over(host: Host) -> None:
    """Wait for work of ours that a lost connection left on the host; meanwhile it is neither old nor new."""
    name = host.backend.get_hostname()
    if name not in OVER:
        assert host.run(WAIT_FOR_WORK).rc == 0, "pekerjaan pemutakhiran pada host ini belum selesai"
        OVER.add(name)


@pytest.fixture
def expect(host: Host) -> Expectation:
    """What this host has to be like; a host nobody knows anything about fails."""
    phase = os.environ.get("RAWAT_PHASE", "after-update")
    if phase not in PHASES:
        pytest.fail(f"RAWAT_PHASE {phase!r} tidak dikenal", pytrace=False)
    folder = os.environ.get("RAWAT_HOST_STATE")
    if not folder:
        pytest.fail("RAWAT_HOST_STATE tidak diisi: keadaan yang diharapkan tidak diketahui", pytrace=False)
    path = Path(folder) / f"{host.backend.get_hostname()}.json"
    if not path.is_file():
        pytest.fail(f"keadaan yang diharapkan tidak tercatat: {path.name} tidak ada", pytrace=False)
    return Expectation(phase, json.loads(path.read_text(encoding="utf-8")))


@pytest.fixture
def ask(host: Host) -> Ask:
    """Run one of the small programs with the host's Python and return its answer."""

    def asked(program: str, question: list[str]) -> dict[str, Any]:
        places = (folder / f"{program}.py" for folder in (ON_HOST, SHARED))
        source = next(place for place in places if place.exists()).read_text(encoding="utf-8")
        done = host.run("timeout 120 python3 -c %s %s", source, json.dumps(question))
        assert done.rc == 0, f"{program} tidak dapat dijalankan: {done.stderr.strip()[-300:]}"
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    return asked


def host_of(item: pytest.Item) -> str:
    """Return the host a test is for, out of its id ``test_x[ansible://web1]``."""
    match = re.search(r"\[\w+://([^\]]+)\]$", item.name)
    return match.group(1) if match else ""


def pytest_itemcollected(item: pytest.Item) -> None:
    """Put the test's title into the results."""
    function = getattr(item, "function", None)
    lines = (getattr(function, "__doc__", None) or item.name).strip().splitlines()
    item.user_properties.append(("title", lines[0]))


LOST: set[str] = set()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Do not wait again for a host that was lost."""
    if host_of(item) in LOST:
        raise HostUnreachableError("host tidak dapat dihubungi")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember the hosts that ssh could not reach."""
    report = yield
    error = call.excinfo.value if call.excinfo else None
    if isinstance(error, RuntimeError) and is_ssh_failure(error):
        LOST.add(host_of(item))
    return report


def is_ssh_failure(error: RuntimeError) -> bool:
    """Tell whether testinfra reports with this error that ssh itself failed."""
    done = error.args[0] if error.args else None
    return isinstance(done, CommandResult) and done.exit_status == SSH_FAILED
