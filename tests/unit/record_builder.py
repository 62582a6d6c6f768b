"""Makes small whole runs with the real engine and real keys, for the tests of archives."""

from __future__ import annotations

import subprocess
from pathlib import Path

from scenarios.office import Office

from runner.engine import Closed
from runner.officials import load_roster
from runner.workspace import RunFolder

SOP = """\
format: 1
id: contoh-arsip
identity: {unit: Dinas Contoh, nama_sop: Pemeliharaan Contoh}
actors: {petugas: Petugas Contoh, kepala: Kepala Contoh}
steps:
  - no: 1
    kegiatan: Memeriksa
    pelaksana: petugas
    waktu: 1 Jam
    action: {playbook: plan-contoh.yml, plan: true}
    next: 2
  - no: 2
    kegiatan: Menyetujui
    pelaksana: kepala
    waktu: 1 Jam
    output: [{name: Disposisi, document: disposisi}]
    decision:
      outcomes: [{name: setuju, next: 3}, {name: ulang, next: 1}, {name: batal, next: end}]
  - no: 3
    kegiatan: Memperbaiki
    pelaksana: petugas
    waktu: 1 Jam
    action: {playbook: apply-contoh.yml, hosts: ready, changes: true}
    next: 4
  - no: 4
    kegiatan: Mengarsipkan
    pelaksana: petugas
    waktu: 1 Jam
    action: {archive: true}
    next: end
"""
APPROVED = {2: ["setuju"]}


def make_keys(folder: Path) -> Path:
    """Write a roster of two officials and their keys into ``folder``; return the folder."""
    folder.mkdir(parents=True)
    for name in ("petugas", "kepala"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(folder / name)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    roster = "office: Dinas Contoh\nofficials:\n" + "".join(
        f'  - {{id: {name}, name: Nama {name}, nip: "{number:018d}", '
        f"positions: [{name.title()} Contoh], key: {name}.pub}}\n"
        for number, name in enumerate(("petugas", "kepala"), start=1)
    )
    (folder / "officials.yml").write_text(roster, encoding="utf-8")
    return folder


def make_office(tree: Path, keys: Path, sop: str = SOP) -> Office:
    """Return an office whose tree has what the SOP names."""
    for path in ("playbooks/plan-contoh.yml", "playbooks/apply-contoh.yml", "inventory/hosts.yml"):
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).touch()
    (tree / "report_templates").mkdir()
    (tree / "report_templates" / "disposisi.html.j2").touch()
    return Office(tree, load_roster(keys / "officials.yml"), keys, sop, "contoh-arsip.yml", ("web1", "db1"))


def make_closed_run(office: Office) -> RunFolder:
    """Return the folder of a run that was done to its end."""
    folder = office.start()
    closed = office.go_on(folder, APPROVED)
    assert isinstance(closed, Closed)
    return folder
