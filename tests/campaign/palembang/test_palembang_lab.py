"""Every path of the Palembang SOP on real hosts, with a unit that really died: `make campaign-palembang`.

Nothing here is attended: forms come from files, decisions from another terminal, as in an office where the
officials sit elsewhere. What is found, repaired and backed up is so on the hosts.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from unattended import ROOT, Unattended

from lab import driver

pytestmark = [pytest.mark.campaign, pytest.mark.lab, pytest.mark.timeout(1800)]

LAB = "palembangtest"
SOP = str(ROOT / "sops" / "palembang-information-system-maintenance.yml")
UNIT = "lab-good.service"
PORTS = "check_host_expected_ports: [tcp/22, tcp/8090]\n"

ASSIGNMENT = "aplikasi: [Situs web kantor, Basis data]\n"
REPAIR = (
    "gangguan: Layanan pada web1 mati.\nupaya: Layanan dijalankan ulang.\n"
    "hasil: Tidak dapat diperbaiki oleh internal\n"
)
PROPOSAL = "dasar: Disk rusak.\nrincian:\n  - {uraian: Disk 1 TB, jumlah: 2, harga: Rp1.250.000}\n"
ORDER = "tugas: [Memasang disk pengganti]\n"
RECORD = "perangkat: [web1]\ntanggal: 21-11-2026\npekerjaan: Disk diganti.\nbiaya: 2500000\n"


@dataclass
class Office(Unattended):
    """The office of the lab, with runs of its own."""

    hosts: Path = Path()

    @property
    def inventory(self) -> Path:
        return self.hosts

    def fill(self, answers: str, by: str = "pengelola", *attach: Path) -> None:
        """Fill in the form that is awaited, from a file."""
        form = self.folder / "form.yml"
        form.write_text(answers, encoding="utf-8")
        attached = [word for path in attach for word in ("--attach", str(path))]
        self.rawat("fill", "--from", str(form), "--by", by, *attached)

    def sign(self, outcome: str, official: str, reason: str = "") -> None:
        """Decide at the open gate."""
        self.rawat("decide", "--outcome", outcome, "--official", official, "--reason", reason)

    def assigned(self) -> None:
        """Begin a run, and have Staf TI assigned."""
        self.rawat("run", SOP, "-i", str(self.hosts), expect=3)
        self.fill(ASSIGNMENT)
        self.sign("ditugaskan", "kasubbag")

    def received(self) -> None:
        """Have the report received, and hold the record and its archive to ``rawat verify``."""
        self.sign("diterima", "kasubbag")
        self.rawat("resume")
        assert "verified" in self.rawat("verify", str(self.bag))
        assert "the same" in self.rawat("documents")

    @property
    def rows(self) -> list[tuple[int, str | None]]:
        return [(e["step"], e["outcome"]) for e in self.journal() if e["event"] == "step_finished"]

    def report(self) -> str:
        """Return the newest data of the report."""
        found = sorted(self.runs.glob("*/documents/11-*-laporan-pemeliharaan-ratified.json"))
        return found[-1].read_text(encoding="utf-8")


@pytest.fixture(scope="module", name="hosts")
def _hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Bring up two hosts, of which one has ports that the office expects."""
    inventory = tmp_path_factory.mktemp("lab") / "inventory"
    driver.up(driver.Wish(name=LAB, count=2, inventory=inventory))
    try:
        with (inventory / "host_vars" / "web1.yml").open("a", encoding="utf-8") as stream:
            stream.write(PORTS.replace("tcp/8090", "tcp/8090, tcp/8091"))
        yield inventory
    finally:
        driver.down(LAB)


@pytest.fixture
def office(hosts: Path, tmp_path: Path) -> Iterator[Office]:
    """Give the office with all well on its hosts, and leave it so."""
    office = Office(tmp_path, hosts)
    office.on_host("web1", f"systemctl start {UNIT}")
    yield office
    office.on_host("web1", f"systemctl start {UNIT}")


def dead(office: Office) -> None:
    office.on_host("web1", f"systemctl kill --signal=KILL {UNIT}; systemctl stop {UNIT}")


def test_a_month_without_disturbance_and_a_report_sent_back(office: Office) -> None:
    office.assigned()
    office.rawat("resume", expect=3)
    office.sign("dikembalikan", "kasubbag", "Lampiran kurang")
    office.rawat("resume", expect=3)
    office.received()
    head = [(1, "ditugaskan"), (2, None), (3, "TIDAK"), (9, None), (10, None)]
    assert office.rows == [*head, (11, "dikembalikan"), (10, None), (11, "diterima")]


def test_a_dead_unit_is_found_and_its_repair_is_proved(office: Office) -> None:
    dead(office)
    office.assigned()
    office.rawat("resume", expect=3)
    office.on_host("web1", f"systemctl start {UNIT}")
    office.fill(REPAIR)
    office.rawat("resume", expect=3)
    office.received()
    assert office.rows[2:5] == [(3, "YA"), (4, "diperbaiki"), (9, None)]
    assert json.loads(office.report())["disturbances"][0]["is_resolved"] is True


def unrepaired(office: Office) -> None:
    """Come to the gate of the budget authority with a unit that stays dead."""
    dead(office)
    office.assigned()
    office.rawat("resume", expect=3)
    office.fill(REPAIR)
    office.rawat("resume", expect=3)
    office.fill(PROPOSAL, "kasubbag")
    office.sign("diajukan", "kasubbag")
    assert "Rp2.500.000" in office.rawat("resume", expect=3) + office.rawat("status")


def test_what_is_approved_is_followed_up_with_a_record_and_its_paper(office: Office) -> None:
    unrepaired(office)
    office.sign("disetujui", "kpa")
    office.rawat("resume", expect=3)
    office.fill(ORDER)
    office.sign("ditugaskan", "kasubbag")
    office.rawat("resume", expect=3)
    office.on_host("web1", f"systemctl start {UNIT}")
    paper = office.folder / "bukti.pdf"
    paper.write_bytes(b"%PDF-1.7 a made-up receipt")
    office.fill(RECORD, "pengelola", paper)
    office.rawat("resume", expect=3)
    office.received()
    done = [(4, "tidak dapat"), (5, "diajukan"), (6, "disetujui"), (7, "ditugaskan"), (8, None), (9, None)]
    assert office.rows[3:9] == done
    assert json.loads(office.report())["disturbances"][0]["is_resolved"] is True
    assert (office.bag / "data" / "forms" / "8-1-attachment-1.pdf").read_bytes() == paper.read_bytes()


def test_what_is_refused_stays_in_the_report_as_unresolved(office: Office) -> None:
    unrepaired(office)
    office.sign("ditolak", "kpa", "Anggaran tahun ini habis")
    office.rawat("resume", expect=3)
    office.received()
    assert office.rows[5:7] == [(6, "ditolak"), (9, None)]
    said = json.loads(office.report())
    assert [(d["host"], d["is_resolved"]) for d in said["disturbances"]] == [("web1", False)]
    assert "Anggaran tahun ini habis" in office.report()
