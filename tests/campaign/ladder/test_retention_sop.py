"""The office's own SOP of retention over a real host, from the fresh backup to the sealed archive.

Backups go to a server that is append-only; its administrator's address, by which may be pruned, is another.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ladder_field import HOST, LAB, LadderField
from unattended import ROOT, Unattended

from lab import driver, services
from lab.layout import MIRROR_PORT

pytestmark = [pytest.mark.lab, pytest.mark.campaign, pytest.mark.timeout(1800)]

SOP = str(ROOT / "sops" / "contoh-retensi-cadangan.yml")
POLICY = {"retention_policy": {"last": 1}, "retention_keep_tags": ["run-kept"]}
MADE = ("run-a", "run-kept", "run-c")


class Office(Unattended):
    """The command line over the campaign's own inventory."""

    inventory = Path()

    def of(self, step: int, role: str) -> dict[str, Any]:
        """Return what a role published of the host in a row, by the run's folder."""
        (path,) = self.runs.glob(f"*/evidence/{step}-1-1/{HOST}.json")
        told: dict[str, Any] = json.loads(path.read_bytes())
        return {**told["results"][role], "failure": told["failure"]}


@pytest.fixture(name="office")
def _office(field: LadderField) -> Iterator[Office]:
    """Return an office with three old backups of the host, and settings of its own in the inventory."""
    field.fresh()
    settings = field.inventory / "group_vars" / "all" / "retensi.yml"
    settings.write_text(yaml.safe_dump(POLICY))
    office = Office(field.folder)
    office.inventory = field.inventory
    # Other tests of this lab have backed the host up too.
    shutil.rmtree(repository(), ignore_errors=True)
    restic(field, "init")
    for day, tag in enumerate(MADE, 1):
        restic(field, "backup", "--host", HOST, "--tag", tag, "--time", f"2024-01-0{day} 01:00:00", __file__)
    yield office
    settings.unlink()
    shutil.rmtree(repository())


def repository() -> Path:
    return driver.load(LAB).state / "backups" / HOST


def restic(field: LadderField, *words: str) -> str:
    """Run restic as the administrator of the backup server does, where the data is."""
    password = str(field.inventory / "secrets" / "restic_password")
    command = ["restic", "--no-cache", "-r", str(repository()), "--password-file", password, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


def tags(field: LadderField) -> dict[str, str]:
    """Return the ids of the backups by their tag, without that of the run itself."""
    return {one["tags"][0]: one["id"] for one in json.loads(restic(field, "snapshots", "--json"))}


@pytest.fixture(name="administrator")
def _administrator() -> Iterator[str]:
    """Serve the same data by an address of the administrator's, where removing is possible."""
    lab = driver.load(LAB)
    command = [word for word in services.backup_command(lab) if word != "--append-only"]
    command = [f"--addr={lab.controller}:{MIRROR_PORT}" if w.startswith("--addr=") else w for w in command]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            services.wait_for_service(lab, "administrator's", (lab.controller, MIRROR_PORT))
            yield f"rest:{lab.url(MIRROR_PORT)}/{HOST}/"
        finally:
            server.terminate()


def up_to_the_removal(office: Office) -> None:
    office.rawat("run", SOP, "-i", str(office.inventory), "--limit", HOST, expect=3)
    office.rawat("decide", "--outcome", "disetujui", "--official", "kabid")


def test_exactly_what_officials_signed_is_removed_and_the_minutes_say_so(
    office: Office, field: LadderField, administrator: str
) -> None:
    settings = field.inventory / "group_vars" / "all" / "retensi.yml"
    settings.write_text(yaml.safe_dump({**POLICY, "retention_repository": administrator}))
    before = tags(field)

    up_to_the_removal(office)
    office.rawat("resume", expect=3)
    office.rawat("decide", "--outcome", "disahkan", "--official", "analis")
    office.rawat("resume", expect=0)

    office.rawat("verify", str(office.bag))
    pruned = office.of(5, "prune_backups")
    assert sorted(pruned["removed"]) == sorted([before["run-a"], before["run-c"]])
    assert pruned["check"] == "ok"
    left = tags(field)
    assert {*left} - {"run-kept"} == {office.journal()[0]["run"]}
    restic(field, "check", "--read-data")
    (minutes,) = office.bag.rglob("*-berita-acara-retensi-cadangan-ratified.html")
    assert "2 dari 2 cadangan yang diusulkan telah dihapus" in minutes.read_text(encoding="utf-8")


def test_an_append_only_server_refuses_and_the_minutes_say_so(office: Office, field: LadderField) -> None:
    before = tags(field)

    up_to_the_removal(office)
    office.rawat("resume", expect=3)

    told = office.of(5, "prune_backups")
    assert (told["removed"], told["pending"]) == ([], 2)
    assert "the server is append-only" in told["failure"]["message"]
    assert "retention_repository" in told["failure"]["message"]
    assert tags(field).items() >= before.items()
    (minutes,) = office.runs.rglob("*-berita-acara-retensi-cadangan-verified.html")
    text = minutes.read_text(encoding="utf-8")
    assert "0 dari 2 cadangan yang diusulkan telah dihapus" in text
    assert text.count("masih ada") == 2
