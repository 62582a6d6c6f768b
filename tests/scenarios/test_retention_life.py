"""An archive's whole life by commands, from office.yml: sealed, due, decided by two, destroyed, told of."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from unit.record_builder import make_keys

from runner import register, verify
from scenarios.conftest import Command

PEOPLE = ("kepala", "petugas")
SCRIPT = Path(verify.__file__).with_name("auditor") / "verifikasi.sh"
SOP = """\
format: 1
id: contoh-perintah
identity: {unit: Dinas Contoh, nama_sop: Perintah Contoh}
actors: {petugas: Petugas Contoh, kepala: Kepala Contoh}
steps:
  - no: 1
    kegiatan: Memerintahkan pemeriksaan
    pelaksana: kepala
    waktu: 1 Jam
    output: [{name: Lembar Disposisi, document: disposisi, version: final}]
    decision: {outcomes: [{name: setuju, next: 2}, {name: ditunda, next: end}]}
  - no: 2
    kegiatan: Mengarsipkan
    pelaksana: petugas
    waktu: 1 Jam
    action: {archive: true}
    next: end
"""
OFFICE = """\
letterhead: {{lines: [Dinas Contoh]}}
archive:
  classification: "000.6.3"
  security: biasa
  basis: Keputusan Contoh Nomor 1 Tahun 2020 tentang JRA
  active_years: {years}
  inactive_years: 0
  final: musnah
"""
# Where the commands look.
pytestmark = pytest.mark.usefixtures("office")


@pytest.fixture(name="office")
def _office(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of an office whose archives are due at once by its schedule."""
    keys = make_keys(tmp_path / "office")
    (tmp_path / "sop.yml").write_text(SOP, encoding="utf-8")
    (keys / "hosts.yml").write_text("all: {hosts: {web1: {}, db1: {}}}\n", encoding="utf-8")
    (keys / "office.yml").write_text(OFFICE.format(years=0), encoding="utf-8")
    roster = keys / "officials.yml"
    settings = f"officials: {roster}, decides: Kepala Contoh, witness: Petugas Contoh"
    (tmp_path / "archive.yml").write_text(f"retention: {{{settings}}}\n", encoding="utf-8")
    for name, place in (
        ("RUNS", "runs"),
        ("ARCHIVE", "archive"),
        ("ARCHIVE_KEY", "key/ed25519"),
        ("ARCHIVE_SETTINGS", "archive.yml"),
    ):
        monkeypatch.setenv(f"RAWAT_{name}", str(tmp_path / place))
    return tmp_path


def done(office: Path, rawat: Command) -> str:
    """Take a run from its start to its archive; return its id."""
    keys = office / "office"
    rawat("run", str(office / "sop.yml"), "-i", str(keys / "hosts.yml"), "--operator", "petugas", code=3)
    told = json.loads(rawat("status", "--json"))
    given = ("--outcome", "setuju", "--gate", told["awaited"]["code"], "--key", str(keys / "kepala"))
    rawat("decide", told["run"], "--official", "kepala", *given)
    rawat("resume", told["run"])
    return str(told["run"])


def content(office: Path) -> dict[str, bytes]:
    """Return every file of the archive."""
    root = office / "archive"
    return {
        path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def test_from_the_office_s_schedule_to_a_destruction_that_is_told_of_ever_after(
    office: Path, rawat: Command
) -> None:
    gone = done(office, rawat)
    (office / "office" / "office.yml").write_text(OFFICE.format(years=5), encoding="utf-8")
    kept = done(office, rawat)
    before = content(office)

    # Proposed, by the schedule as it stood when each run began; nothing is done by that.
    assert f"{gone}: since" in rawat("archive", "due")
    assert kept not in rawat("archive", "due")
    assert f"{kept}: since" in rawat("archive", "due", "--on", "2999-01-01")
    keys = office / "office"
    deciding = (
        "archive", "decide", "--fate", "musnah", "--official", "kepala", "--witness", "petugas", "--reason",
        "Jangka simpan berakhir", "--key", str(keys / "kepala"), "--witness-key", str(keys / "petugas"),
    )  # fmt: skip
    shown = rawat(*deciding, code=2)
    assert "the content of these archives will be removed for good" in shown
    assert f"for {kept} nothing is due" in rawat(*deciding, kept, code=2)
    assert content(office) == before

    # Decided by two; what goes is named.
    code = shown.split("code of this proposal: ")[1].split()[0]
    told = rawat(*deciding, "--code", code)
    assert "decided: musnah of 1 archives, record 3 of the register" in told
    assert f"removed: the content of {gone}, as was decided; its manifests stay" in told
    assert f"runs/{gone} still holds the same record" in told
    after = content(office)
    lost = {path for path in before if path not in after}
    assert lost == {path for path in before if f"/{gone}/data/" in path}
    changed = {path for path in before if path in after and after[path] != before[path]}
    assert changed == {register.NAME, register.HEAD}
    assert {path.rpartition("/")[0] for path in after if path not in before} == {"retention/3"}
    minutes = (office / "archive/retention/3/berita-acara.html").read_text(encoding="utf-8")
    for words in ("Berita Acara Pemusnahan Arsip", gone, "Keputusan Contoh Nomor 1 Tahun 2020 tentang JRA"):
        assert words in minutes
    assert kept not in minutes

    # Told of ever after: found, listed, verified by both judges, and due no more.
    assert (office / "runs" / gone / "journal.jsonl").exists()
    for sought in (("--host", "web1"), ("--official", "kepala"), ("--document", "disposisi")):
        found = rawat("archive", "search", *sought)
        assert f"{gone} [musnah]: " in found
        assert "2 archives" in found
    assert "nothing is due" in rawat("archive", "due")
    assert "has no content that could be exported" in rawat(
        "archive", "export", gone, "-o", str(office / "out"), code=2
    )
    assert "verified: register of 2 archives" in rawat("verify", str(office / "archive"))
    by_script = subprocess.run(
        ["sh", str(SCRIPT), str(office / "archive")], check=False, capture_output=True, text=True
    )
    assert (by_script.returncode, "SAH: 2 arsip" in by_script.stdout) == (0, True), by_script.stdout

    # Held against the officials whom the auditor knows: all of them, and then one too few.
    known = office / "pejabat.signers"
    lines = [f'{name} namespaces="rawat-*" {(keys / f"{name}.pub").read_text()}' for name in PEOPLE]
    for count, code in ((2, 0), (1, 5)):
        known.write_text("".join(lines[:count]))
        told = rawat("verify", str(office / "archive"), "--officials", str(known), code=code)
        assert ("witness.sig: is not by a key that is known of petugas" in told) == bool(code), told
        command = ["sh", str(SCRIPT), "--officials", str(known), str(office / "archive")]
        assert subprocess.run(command, check=False, capture_output=True).returncode == code
