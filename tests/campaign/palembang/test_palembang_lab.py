"""Every path of the Palembang SOP on real hosts, with a unit that really died: `make campaign-palembang`.

Nothing here is attended: forms come from files, decisions from another terminal, as in an office where the
officials sit elsewhere. What is found, repaired and backed up is so on the hosts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from labs import connection, raised
from routeros_emulator import EXPORT, PASSWORD, USER, answer_over_ssh, router
from unattended import ROOT, Unattended

from lab import driver

pytestmark = [pytest.mark.campaign, pytest.mark.lab, pytest.mark.timeout(1800)]

LAB = "palembangtest"
SOP = str(ROOT / "sops" / "palembang-information-system-maintenance.yml")
UNIT = "lab-good.service"
LOCK = "/etc/group.lock"
# No port of it is expected: that the unit is dead is all that there is to see.
EXPECTED = f"check_host_expected_units: [{UNIT}]\nrepair_host_expected_units: [{UNIT}]\n"

# Its API is the emulator's on this machine; its ssh, a real one that answers as RouterOS does, is a host's.
ROUTER = {
    "ansible_user": "router",
    "check_routerboard_address": "127.0.0.1",
    "check_routerboard_user": USER,
    "check_routerboard_password": PASSWORD,
    "check_routerboard_tls": False,
}

ASSIGNMENT = "aplikasi: [Situs web kantor, Basis data]\n"
ALLOWED = ASSIGNMENT + "perbaikan: [Menyalakan layanan]\n"
LOCKS_ONLY = ASSIGNMENT + "perbaikan: [Menghapus kunci yang tertinggal]\n"
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

    def assigned(self, answers: str = ASSIGNMENT) -> None:
        """Begin a run, and have Staf TI assigned; without names in it no cure is allowed."""
        self.rawat("run", SOP, "-i", str(self.hosts), expect=3)
        self.fill(answers)
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
    """Bring up two hosts, of which one has a unit that the office expects."""
    with raised(tmp_path_factory.mktemp("lab"), LAB, 2) as inventory, router() as there:
        with (inventory / "host_vars" / "web1.yml").open("a", encoding="utf-8") as stream:
            stream.write(EXPECTED)
        answer_over_ssh(connection(inventory, "db1"))
        lab = driver.load(LAB)
        said = ROUTER | {
            "ansible_host": lab.address(lab.host("db1")),
            "check_routerboard_port": there.port,
        }
        group = {"routerboards": {"hosts": {"router": said}}}
        (inventory / "routerboards.yml").write_text(yaml.safe_dump(group), encoding="utf-8")
        yield inventory


@pytest.fixture
def office(hosts: Path, tmp_path: Path) -> Iterator[Office]:
    """Give the office with all well on its hosts, and leave it so."""
    office = Office(tmp_path, hosts)
    well = f"rm -f {LOCK}; systemctl start {UNIT}"
    office.on_host("web1", well)
    yield office
    office.on_host("web1", well)


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
    (kept,) = json.loads(office.report())["router_backups"]
    file = office.hosts / "backups" / "routerboards" / kept["kept"]["file"]
    assert file.read_text(encoding="utf-8") == EXPORT + "# rawat: end of the export\n"
    assert hashlib.sha256(file.read_bytes()).hexdigest() == kept["kept"]["sha256"]


def state(office: Office) -> tuple[bool, bool]:
    """Tell whether the unit is up, and whether the lock is still there, as the host says."""
    said = office.on_host("web1", f"systemctl is-active {UNIT}; test -e {LOCK} && echo locked || true")
    return "\nactive" in f"\n{said}", "locked" in said


def row_4(office: Office) -> list[tuple[str, str]]:
    """Return what was done and left out in row 4, as (event, kind of part)."""
    told = {"action_finished", "action_skipped", "form_filled"}
    found = [e for e in office.journal() if e["event"] in told and e["step"] == 4]
    return [(e["event"], e.get("kind", "form")) for e in found]


def document(office: Office, name: str) -> str:
    """Return the words of a document of the run."""
    (path,) = office.runs.glob(f"*/documents/{name}")
    return " ".join(path.read_text(encoding="utf-8").split())


def test_a_dead_unit_is_cured_as_allowed_and_a_cure_that_was_not_is_only_proposed(office: Office) -> None:
    dead(office)
    office.on_host("web1", f": > {LOCK}")
    office.assigned(ALLOWED)
    before = state(office)
    office.rawat("resume", expect=3)
    office.received()
    assert (before, state(office)) == ((False, True), (True, True))
    assert office.rows[2:5] == [(3, "YA"), (4, "diperbaiki"), (9, None)]
    done = [("action_finished", kind) for kind in ("propose", "cure", "playbook")]
    assert row_4(office) == [*done, ("action_skipped", "form")]
    said = json.loads(office.report())
    assert said["disturbances"][0]["is_resolved"] is True
    repairs = {line["repair"]["cure"]: line for line in said["repairs"]}
    assert (repairs["start_unit"]["allowed"], repairs["start_unit"]["done"]["outcome"]) == (True, "done")
    assert repairs["start_unit"]["done"]["proof"]["state"] == "active"
    assert (repairs["remove_lock"]["allowed"], repairs["remove_lock"]["done"]) == (False, None)
    report = document(office, "04-1-laporan-perbaikan-final.html")
    assert f"Menyalakan layanan, {UNIT}: sudah diperbaiki dan terbukti." in report
    assert f"Menghapus kunci {LOCK}" in report
    assert "<b>Tidak dilakukan</b>: tidak diizinkan dalam penugasan yang ditandatangani." in report


def test_without_the_cure_in_the_assignment_it_stays_dead_until_a_person_repairs_it(office: Office) -> None:
    dead(office)
    office.assigned(LOCKS_ONLY)
    office.rawat("resume", expect=3)
    assert state(office)[0] is False
    assert row_4(office) == [("action_finished", "propose")]
    office.on_host("web1", f"systemctl start {UNIT}")
    office.fill(REPAIR)
    office.rawat("resume", expect=3)
    office.received()
    assert office.rows[2:5] == [(3, "YA"), (4, "diperbaiki"), (9, None)]
    repairs = json.loads(office.report())["repairs"]
    assert [(r["repair"]["cure"], r["allowed"], r["done"]) for r in repairs] == [("start_unit", False, None)]


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
