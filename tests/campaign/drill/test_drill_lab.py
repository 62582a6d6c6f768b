"""The restore drill, the third SOP, on real hosts with real backups: `make campaign-drill`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from labs import raised
from unattended import ROOT, Unattended

pytestmark = [pytest.mark.campaign, pytest.mark.lab, pytest.mark.timeout(1800)]

LAB = "drilltest"
SOP = str(ROOT / "sops" / "contoh-uji-pulih-cadangan.yml")


@dataclass
class Office(Unattended):
    """The office of the lab, with one run of its own."""

    hosts: Path = Path()

    @property
    def inventory(self) -> Path:
        return self.hosts

    def sign(self, outcome: str, official: str, reason: str = "") -> None:
        """Decide at the open gate."""
        self.rawat("decide", "--outcome", outcome, "--official", official, "--reason", reason)

    def rows(self) -> list[tuple[int, str | None]]:
        return [(e["step"], e["outcome"]) for e in self.journal() if e["event"] == "step_finished"]

    def backups(self, attempt: int) -> dict[str, dict[str, object]]:
        """Return what row 4 published of each host's backup in one attempt."""
        (folder,) = self.runs.glob(f"*/evidence/4-{attempt}-1")
        told = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in folder.iterdir()}
        return {host: {"status": e["status"], **e["results"]["back_up_host"]} for host, e in told.items()}


@pytest.fixture(name="office")
def _office(tmp_path: Path) -> Iterator[Office]:
    """Give an office with two hosts that were never backed up."""
    with raised(tmp_path, LAB, 2) as inventory:
        yield Office(tmp_path, inventory)


def test_the_drill_restores_a_sample_of_real_backups_and_is_done_again_when_told_so(office: Office) -> None:
    office.rawat("run", SOP, "-i", str(office.hosts), expect=3)
    office.sign("diperintahkan", "kabid")
    office.rawat("resume", expect=3)
    first = office.backups(1)
    office.sign("diulang", "analis", "Contoh berkas terlalu sedikit")
    office.rawat("resume", expect=3)
    second = office.backups(2)
    office.sign("lulus", "analis")
    office.rawat("resume", expect=3)
    office.sign("disahkan", "kabid")
    office.rawat("resume")

    assert office.rows() == [
        (1, None),
        (2, "diperintahkan"),
        (3, None),
        (4, None),
        (5, "diulang"),
        (4, None),
        (5, "lulus"),
        (6, None),
        (7, "disahkan"),
        (8, None),
        (9, None),
    ]
    for backups in (first, second):
        assert set(backups) == {"web1", "db1"}
        for told in backups.values():
            restored = told["restore_test"]
            assert told["status"] == "ok"
            assert isinstance(restored, dict)
            assert restored["files"] == restored["matched"] > 0
    # A run has one backup of a host: a drill that is done again proves it anew.
    assert [first[host]["snapshot"] for host in first] == [second[host]["snapshot"] for host in first]
    assert [told["reused"] for told in second.values()] == [True, True]
    minutes = json.loads(next(office.runs.glob("*/documents/07-*-ratified.json")).read_text(encoding="utf-8"))
    assert sorted(host["host"] for host in minutes["hosts"] if host["backup"]["snapshot"]) == ["db1", "web1"]
    assert "verified" in office.rawat("verify", str(office.bag))
