"""``rawat schedule``: units that start a run, which stops at its first gate and tells whom it awaits."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from runner import record
from runner.inventory import read_inventory
from runner.schedule import Schedule, units
from runner.sop import parse_sop
from runner.start import empty_groups
from runner.workspace import ENVIRONMENT, RunFolder
from scenarios.post_office import PostOffice, occasions, post_office, settings_text

ROOT = Path(__file__).parents[2]
SOP = ROOT / "sops" / "contoh-uji-pulih-cadangan.yml"
NAME = "rawat-contoh-uji-pulih-cadangan"
OFFICIALS = {
    "pengelola": "Pengelola Sistem dan Jaringan",
    "analis": "Analis Sistem Informasi dan Jaringan",
    "kabid": "Kepala Bidang Teknologi dan Informatika",
}


@pytest.fixture(name="post")
def _post(tmp_path: Path) -> Iterator[PostOffice]:
    with post_office(tmp_path / "office") as post:
        yield post


@pytest.fixture(name="inventory")
def _inventory(tmp_path: Path, keys: Path) -> Path:
    folder = tmp_path / "kantor dinas"
    folder.mkdir()
    (folder / "hosts.yml").write_text("all: {hosts: {pc1: {}, pc2: {}}}\n", encoding="utf-8")
    lines = ["office: Dinas Contoh", "timezone: Asia/Makassar", "operator: pengelola", "officials:"]
    for number, (name, position) in enumerate(OFFICIALS.items(), start=1):
        key = (keys / f"{name}.pub").read_text(encoding="ascii").strip()
        lines.append(
            f'  - {{id: {name}, name: Nama {name}, nip: "{number:018d}", positions: [{position}], '
            f"key: {key}}}"
        )
    (folder / "officials.yml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def rawat(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return called(tmp_path, [sys.executable, "-m", "runner", *arguments])


def called(tmp_path: Path, command: list[str]) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"RAWAT_RUNS": str(tmp_path / "runs"), "COLUMNS": "200"}
    return subprocess.run(
        command,
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env=environment,
        cwd=ROOT,
        timeout=120,
    )


def scheduled(tmp_path: Path, inventory: Path, every: str) -> subprocess.CompletedProcess[str]:
    output = str(tmp_path / "units")
    return rawat(tmp_path, "schedule", str(SOP), "-i", str(inventory), "--every", every, "-o", output)


def started_by(unit: Path) -> list[str]:
    """Return the command that a unit starts, as systemd takes it apart."""
    (line,) = re.findall(r"^ExecStart=(.*)$", unit.read_text(encoding="utf-8"), re.MULTILINE)
    return [word.replace("%%", "%").replace("$$", "$") for word in shlex.split(line)]


def test_what_the_timer_starts_stops_at_its_gate_and_tells_whom(
    tmp_path: Path, inventory: Path, post: PostOffice
) -> None:
    (inventory / "secrets").mkdir()
    for name in ("password", "ca.pem"):
        shutil.copy(post.folder / name, inventory / "secrets")
    text = settings_text(post).replace("password_file: ", "password_file: secrets/")
    text = text.replace("ca_file: ", "ca_file: secrets/")
    (inventory / "notify.yml").write_text(text, encoding="utf-8")
    done = scheduled(tmp_path, inventory, "monthly")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Next elapse:" in done.stdout
    units_folder = tmp_path / "units"

    run = called(tmp_path, started_by(units_folder / f"{NAME}.service"))
    assert run.returncode == 3, run.stderr
    assert "told: kabid, mail: [Rawat] Menunggu keputusan Anda" in run.stdout
    (folder,) = (tmp_path / "runs").glob("*-contoh-uji-pulih-cadangan-1")
    gate = record.load(RunFolder(folder)).state.gate
    assert gate is not None
    assert gate.step == 2

    again = called(tmp_path, started_by(units_folder / "rawat-remind.service"))
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert occasions(post) == ["Menunggu"]
    assert "WITA" in post.mails[0].get_content()


def test_a_mail_server_that_is_down_stops_no_run(tmp_path: Path, inventory: Path) -> None:
    (inventory / "notify.yml").write_text(
        "from: a@b.id\nsmtp: {host: localhost, port: 9, security: none}\naddresses: {kabid: k@b.id}\n",
        encoding="utf-8",
    )
    run = rawat(tmp_path, "run", str(SOP), "-i", str(inventory))
    assert run.returncode == 3
    assert run.stderr.count("warning: kabid could not be told by mail") == 1
    again = rawat(tmp_path, "remind")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")


def test_a_mistake_in_the_settings_is_told_before_anything_begins(tmp_path: Path, inventory: Path) -> None:
    (inventory / "notify.yml").write_text("adresses: {}\n", encoding="utf-8")
    run = rawat(tmp_path, "run", str(SOP), "-i", str(inventory))
    assert run.returncode == 2
    assert "notify.yml:1: adresses: is not a known key" in run.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("every", "calendar"),
    [
        ("monthly", "*-*-01 08:00:00 Asia/Makassar"),
        ("weekly", "Mon *-*-* 08:00:00 Asia/Makassar"),
        ("quarterly", "quarterly"),
        ("Sat *-*-1..7 20:00:00", "Sat *-*-1..7 20:00:00"),
    ],
)
def test_a_calendar_is_what_systemd_reads(every: str, calendar: str) -> None:
    timer = units(planned(every=every), "x")["rawat-x.timer"]
    assert f"OnCalendar={calendar}\n" in timer
    subprocess.run(["systemd-analyze", "calendar", calendar], check=True, capture_output=True)


def planned(
    *, every: str = "monthly", title: str = "SOP", sop: str = "/s.yml", operator: str | None = None
) -> Schedule:
    return Schedule(sop, title, "/i", operator, every, "Asia/Makassar", ["/bin/true"], "/")


def test_names_that_systemd_would_read_otherwise_stay_what_they_are(tmp_path: Path) -> None:
    odd = "/a b/%n $HOME \"x\" \\ 'y'.yml"
    for name, text in units(planned(title="100% $HOME", sop=odd, operator="budi"), "x").items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    said = ["/bin/true", "run", odd, "-i", "/i", "--operator", "budi"]
    assert started_by(tmp_path / "rawat-x.service") == said
    # What is not doubled systemd takes for a specifier or a variable (systemd.unit, systemd.service).
    service = (tmp_path / "rawat-x.service").read_text(encoding="utf-8")
    assert "/a b/%%n $$HOME" in service
    assert "Description=Rawat: 100%% $HOME" in service
    files = [str(path) for path in sorted(tmp_path.iterdir())]
    done = subprocess.run(["systemd-analyze", "verify", *files], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_calendar_that_is_none_is_refused(tmp_path: Path, inventory: Path) -> None:
    done = scheduled(tmp_path, inventory, "setiap bulan")
    assert done.returncode == 2
    assert "--every setiap bulan: systemd does not take it" in done.stderr
    assert not (tmp_path / "units").exists()


def test_a_calendar_of_two_lines_is_no_calendar(tmp_path: Path, inventory: Path) -> None:
    done = scheduled(tmp_path, inventory, "monthly\nExecStart=/bin/sh")
    assert done.returncode == 2
    assert "cannot be seen: U+000A" in done.stderr


@pytest.mark.parametrize(
    ("file", "mistake"),
    [
        ("windows.yml", ("windows: [{from: malam}]\n", "windows.yml:1: windows[0].from: expected a time")),
        ("office.yml", ("papper: A4\n", "office.yml:1: papper: is not a known key")),
        ("hosts.yml", ("all: {hosts: {}}\n", "holds no host")),
        ("../archive.yml", ("retensi: {}\n", "archive.yml:1: retensi: is not a known key")),
    ],
)
def test_what_would_stop_the_run_is_told_before_units_are_written(
    tmp_path: Path, inventory: Path, monkeypatch: pytest.MonkeyPatch, file: str, mistake: tuple[str, str]
) -> None:
    said, told = mistake
    (inventory / file).write_text(said, encoding="utf-8")
    monkeypatch.setenv("RAWAT_ARCHIVE_SETTINGS", str(tmp_path / "archive.yml"))
    done = scheduled(tmp_path, inventory, "monthly")
    assert done.returncode == 2
    assert told in done.stderr
    assert not (tmp_path / "units").exists()


def test_a_gate_that_nobody_decides_is_told_before_units_are_written(tmp_path: Path, inventory: Path) -> None:
    roster = inventory / "officials.yml"
    kept = [line for line in roster.read_text(encoding="utf-8").splitlines() if "id: kabid" not in line]
    roster.write_text("\n".join(kept) + "\n", encoding="utf-8")
    done = scheduled(tmp_path, inventory, "monthly")
    assert done.returncode == 2
    assert "waits for Kepala Bidang Teknologi dan Informatika, but nobody holds" in done.stderr
    assert not (tmp_path / "units").exists()


def test_units_know_all_that_the_commands_read(
    tmp_path: Path, inventory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = {name: str(tmp_path / name) for name in ENVIRONMENT if name != "RAWAT_ROOT"}
    said |= {"RAWAT_ARCHIVE": "arsip", "ANSIBLE_VAULT_PASSWORD_FILE": str(tmp_path / "vault")}
    (tmp_path / "vault").write_text("rahasia\n", encoding="utf-8")
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    done = scheduled(tmp_path, inventory, "monthly")
    assert done.returncode == 0, done.stderr
    # As seen from the folder in which the units were written: they work in another.
    said |= {"RAWAT_RUNS": str(tmp_path / "runs"), "RAWAT_ARCHIVE": str(ROOT / "arsip")}
    for unit in (f"{NAME}.service", "rawat-remind.service"):
        text = (tmp_path / "units" / unit).read_text(encoding="utf-8")
        found = dict(re.findall(r'^Environment="(\w+)=(.*)"$', text, re.MULTILINE))
        assert found == said


def test_every_variable_that_says_where_things_are_is_one_of_those() -> None:
    source = (ROOT / "runner" / "workspace.py").read_text(encoding="utf-8")
    assert set(re.findall(r'environ\.get\(\s*"(\w+)"', source)) == set(ENVIRONMENT)


def test_groups_of_waves_that_have_no_host_are_told(inventory: Path) -> None:
    with (inventory / "hosts.yml").open("a", encoding="utf-8") as stream:
        stream.write("web: {hosts: {pc1: {}}}\n")
    text = (ROOT / "sops" / "surakarta-system-update.yml").read_text(encoding="utf-8")
    sop = parse_sop(text.replace("{first: canary", "{first: canary, then: [web, db]"), "s.yml")
    assert empty_groups(sop, read_inventory(inventory)) == [
        "row 7: no host is in the inventory's group 'canary', so no host is tried before all others",
        "row 7: no host is in the inventory's group 'db', so nothing of it comes in its turn",
    ]


def test_units_of_somebody_else_are_not_written_over(tmp_path: Path, inventory: Path) -> None:
    (tmp_path / "units").mkdir()
    (tmp_path / "units" / f"{NAME}.timer").write_text("[Timer]\n", encoding="utf-8")
    done = scheduled(tmp_path, inventory, "weekly")
    assert done.returncode == 2
    assert "exists already and says something else" in done.stderr
    assert [path.name for path in (tmp_path / "units").iterdir()] == [f"{NAME}.timer"]
