"""The whole Surakarta SOP over hosts of the RHEL family, from the plan to the sealed archive."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from plans import NEW, OLD, complaints, packages_of, transactions
from played import FreshHost
from unattended import SOP, Unattended

pytestmark = [pytest.mark.campaign, pytest.mark.lab, pytest.mark.timeout(2400)]

GOOD, BAD = "rhel1", "rhel2"
# Their updates fail on purpose; on the first host nobody wants any of them.
LOCKED = {GOOD: ("lab-script", "lab-refuses", "lab-crash"), BAD: ("lab-script", "lab-refuses")}
DECISIONS = (
    ("sesuai", "analis"),
    ("diperintahkan", "kabid"),
    ("disaksikan", "analis"),
    ("sesuai", "pranata"),
    ("ditetapkan", "kabid"),
)


class Office(Unattended):
    """The command line over the campaign's own inventory."""

    inventory = Path()


def evidence_of(office: Office, role: str) -> dict[str, list[dict[str, Any]]]:
    """Return what a role published in the archive, by host, in the order of the record."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(office.bag.rglob("evidence/**/*.json")):
        told = json.loads(path.read_bytes())
        if role in told.get("results", {}):
            found.setdefault(told["host"], []).append(told["results"][role])
    return found


def test_the_whole_sop_to_the_sealed_archive(
    fresh_host: FreshHost, lab_inventory: Path, tmp_path: Path
) -> None:
    """One host is updated and restarted; the other's update breaks a service, and is rolled back."""
    connections = {name: fresh_host(name) for name in (GOOD, BAD)}
    for name, packages in LOCKED.items():
        lines = "".join(f"{package}-0:{OLD}.*\\n" for package in packages)
        connections[name].check_output(f"printf '{lines}' >> /etc/dnf/plugins/versionlock.list")
    before = {name: packages_of(host) for name, host in connections.items()}
    boots = {
        name: host.check_output("cat /proc/sys/kernel/random/boot_id") for name, host in connections.items()
    }
    office = Office(tmp_path)
    office.inventory = lab_inventory

    shown = office.rawat("run", SOP, "-i", str(lab_inventory), "--failure-budget", "1", expect=3)
    for place, (outcome, official) in enumerate(DECISIONS, start=1):
        office.rawat("decide", "--outcome", outcome, "--official", official)
        shown = office.rawat("resume", expect=0 if place == len(DECISIONS) else 3)

    assert office.journal()[-1]["event"] == "run_finished", shown[-3000:]
    office.rawat("verify", str(office.bag))
    plain = subprocess.run(
        ["sha256sum", "--quiet", "--check", "manifest-sha256.txt"], check=False, cwd=office.bag, timeout=120
    )
    assert plain.returncode == 0
    applied = evidence_of(office, "apply_updates")
    planned = {change["package"] for change in applied[GOOD][-1]["changes"]}
    gone = {f"{name}-{OLD}.noarch" for name in planned - {"lab-kernel"}}
    came = {f"{name}-{NEW}.noarch" for name in planned}
    there = packages_of(connections[GOOD])
    assert planned >= {"lab-web", "lab-boot", "lab-tool", "lab-kernel", "lab-unnamed"}
    assert set(before[GOOD]) - set(there) == gone
    assert set(there) - set(before[GOOD]) == came
    assert len(transactions(connections[GOOD])) == 1
    assert connections[GOOD].check_output("cat /proc/sys/kernel/random/boot_id") != boots[GOOD]
    assert packages_of(connections[BAD]) == before[BAD]
    assert connections[BAD].service("lab-crash").is_running
    assert [complaints(host) for host in connections.values()] == ["", ""]
    backups = evidence_of(office, "back_up_host")
    assert all(backups[name][-1]["check"] == "ok" for name in (GOOD, BAD))
    assert all("/var/lib/rpm" in backups[name][-1]["paths"] for name in (GOOD, BAD))
    assert {
        told["reason"][:9] for each in evidence_of(office, "update_antivirus").values() for told in each
    } == {"no ClamAV"}
    assert evidence_of(office, "rollback_updates")[BAD][-1]["outcome"] == "rolled back"
    (checked,) = office.bag.rglob("*-laporan-hasil-pengecekan-verified.html")
    (report,) = office.bag.rglob("*-laporan-hasil-update-ratified.html")
    assert "Rocky Linux" in checked.read_text(encoding="utf-8")
    told = report.read_text(encoding="utf-8")
    assert "kembali ke versi semula" in told
    assert "skrip versi baru telah dijalankan" in told
