"""A run without a terminal: it stops at the gates, is decided from elsewhere, is killed, and goes on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800)]

ROOT = Path(__file__).parent.parent.parent
RAWAT = str(Path(sys.executable).with_name("rawat"))
SOP = str(ROOT / "sops" / "surakarta-system-update.yml")
LAB = "killtest"


@dataclass
class Office:
    """A lab of its own, and `rawat` as its operator and officials use it."""

    folder: Path
    environment: dict[str, str]

    @property
    def inventory(self) -> Path:
        return self.folder / "inventory"

    def rawat(self, *arguments: str, expect: int) -> str:
        done = subprocess.run(
            [RAWAT, *arguments],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=self.environment,
            cwd=ROOT,
            timeout=600,
        )
        assert done.returncode == expect, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout + done.stderr

    def journal(self) -> list[dict[str, object]]:
        (path,) = (self.folder / "runs").glob("*/journal.jsonl")
        whole = path.read_bytes().rpartition(b"\n")[0]
        return [json.loads(line) for line in whole.splitlines()]

    def await_event(self, name: str, **fields: object) -> None:
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline:
            if any(
                event["event"] == name and fields.items() <= event.items()
                for event in (self.journal() if list((self.folder / "runs").glob("*/journal.jsonl")) else [])
            ):
                return
            time.sleep(0.1)
        pytest.fail(f"{name} {fields} did not come")

    def dpkg_log(self, host: str) -> list[str]:
        done = subprocess.run(
            [
                str(Path(RAWAT).with_name("ansible")),
                *("-i", str(self.inventory), host),
                *("-m", "ansible.builtin.raw", "-a", "cat /var/log/dpkg.log"),
            ],
            check=True,
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=120,
        )
        return [line for line in done.stdout.splitlines() if " upgrade " in line]


@pytest.fixture(scope="module", name="office")
def _office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    folder = tmp_path_factory.mktemp("kill")
    askpass = folder / "askpass"
    askpass.write_text("#!/bin/sh\necho rawat-lab\n", encoding="ascii")
    askpass.chmod(0o700)
    environment = os.environ | {
        "RAWAT_RUNS": str(folder / "runs"),
        "RAWAT_ARCHIVE": str(folder / "archive"),
        "SSH_ASKPASS": str(askpass),
        "SSH_ASKPASS_REQUIRE": "force",
    }
    office = Office(folder, environment)
    try:
        office.rawat(
            "lab", "up", "--hosts", "3", "--name", LAB, "--inventory", str(office.inventory), expect=0
        )
        yield office
    finally:
        office.rawat("lab", "down", "--name", LAB, expect=0)


def test_killed_in_the_middle_of_a_change_and_resumed(office: Office) -> None:
    """Exit code 3 at each gate; kill -9 in row 7; no package is upgraded twice; the archive verifies."""
    office.rawat("run", SOP, "-i", str(office.inventory), "--failure-budget", "1", expect=3)
    office.rawat("decide", "--outcome", "sesuai", "--official", "analis", expect=0)
    office.rawat("resume", expect=3)
    office.rawat("decide", "--outcome", "diperintahkan", "--official", "pranata", expect=2)
    office.rawat("decide", "--outcome", "diperintahkan", "--official", "kabid", expect=0)

    runner = subprocess.Popen(
        [RAWAT, "resume"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=office.environment,
        cwd=ROOT,
    )
    office.await_event("action_started", step=7, part="2")
    time.sleep(3)
    runner.send_signal(signal.SIGKILL)
    runner.wait()
    told = json.loads(office.rawat("status", "--json", expect=0))
    assert (told["state"], told["row"]) == ("open", 7)

    office.rawat("resume", expect=3)
    office.rawat("decide", "--outcome", "disaksikan", "--official", "analis", expect=0)
    office.rawat("resume", expect=3)
    office.rawat("decide", "--outcome", "sesuai", "--official", "pranata", expect=0)
    office.rawat("resume", expect=3)
    office.rawat("decide", "--outcome", "ditetapkan", "--official", "kabid", expect=0)
    office.rawat("resume", expect=0)

    journal = office.journal()
    assert journal[-1]["event"] == "run_finished"
    (bag,) = (path.parent for path in (office.folder / "archive").rglob("bagit.txt"))
    office.rawat("verify", str(bag), expect=0)
    office.rawat("documents", expect=0)
    for host in ("db1", "file1"):
        upgraded = [line.split()[3] for line in office.dpkg_log(host)]
        assert sorted(upgraded) == sorted(set(upgraded)), f"{host} upgraded a package twice"
        assert upgraded


def test_unreachable_host_is_told_in_one_line_and_the_run_goes_on(office: Office) -> None:
    shutil.rmtree(office.folder / "runs")
    office.rawat("lab", "stop", "file1", "--name", LAB, expect=0)

    shown = office.rawat("run", SOP, "-i", str(office.inventory), expect=3)

    (line,) = (line for line in shown.splitlines() if line.strip().startswith("unreachable"))
    assert "file1" in line
    assert "file1: not checked" in office.rawat("status", expect=0)
