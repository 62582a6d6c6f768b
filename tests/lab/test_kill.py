"""A run without a terminal: it stops at the gates, is decided from elsewhere, is killed, and goes on."""

from __future__ import annotations

import json
import shutil
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from unattended import SOP, Unattended

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800)]

LAB = "killtest"


@dataclass
class Office(Unattended):
    """A lab of its own, and `rawat` as its operator and officials use it."""

    def await_event(self, name: str, **fields: object) -> None:
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            begun = [path for path in self.runs.glob("*/journal.jsonl") if path.stat().st_size]
            told = self.journal() if begun else []
            if any(event["event"] == name and fields.items() <= event.items() for event in told):
                return
            time.sleep(0.1)
        pytest.fail(f"{name} {fields} did not come")


@pytest.fixture(scope="module", name="office")
def _office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    office = Office(tmp_path_factory.mktemp("kill"))
    try:
        office.rawat("lab", "up", "--hosts", "3", "--name", LAB, "--inventory", str(office.inventory))
        yield office
    finally:
        office.rawat("lab", "down", "--name", LAB)


def test_killed_in_the_middle_of_a_change_and_resumed(office: Office) -> None:
    """Exit code 3 at each gate; kill -9 in row 7; no package is upgraded twice; the archive verifies."""
    office.rawat("run", SOP, "-i", str(office.inventory), "--failure-budget", "1", expect=3)
    office.rawat("decide", "--outcome", "sesuai", "--official", "analis")
    office.rawat("resume", expect=3)
    office.rawat("decide", "--outcome", "diperintahkan", "--official", "pranata", expect=2)
    office.rawat("decide", "--outcome", "diperintahkan", "--official", "kabid")

    with office.start("resume") as runner:
        office.await_event("action_started", step=7, part="2")
        time.sleep(3)
        runner.send_signal(signal.SIGKILL)
    told = json.loads(office.rawat("status", "--json"))
    assert (told["state"], told["row"]) == ("open", 7)

    office.rawat("resume", expect=3)
    office.rawat("decide", "--outcome", "disaksikan", "--official", "analis")
    office.rawat("resume", expect=3)
    office.rawat("decide", "--outcome", "sesuai", "--official", "pranata")
    office.rawat("resume", expect=3)
    office.rawat("decide", "--outcome", "ditetapkan", "--official", "kabid")
    office.rawat("resume")

    journal = office.journal()
    assert journal[-1]["event"] == "run_finished"
    office.rawat("verify", str(office.bag))
    office.rawat("documents")
    for host in ("db1", "file1"):
        logged = office.on_host(host, "cat /var/log/dpkg.log").splitlines()
        upgraded = [line.split()[3] for line in logged if " upgrade " in line]
        assert sorted(upgraded) == sorted(set(upgraded)), f"{host} upgraded a package twice"
        assert upgraded


def test_unreachable_host_is_told_in_one_line_and_the_run_goes_on(office: Office) -> None:
    shutil.rmtree(office.runs)
    office.rawat("lab", "stop", "file1", "--name", LAB)

    shown = office.rawat("run", SOP, "-i", str(office.inventory), expect=3)

    (line,) = (line for line in shown.splitlines() if line.strip().startswith("unreachable"))
    assert "file1" in line
    assert "file1: not checked" in office.rawat("status")
