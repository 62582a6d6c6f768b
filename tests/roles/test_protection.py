"""The roles that record, back up and protect a host, on real hosts of a lab.

What is in a backup is asked of the repository itself, with restic on the controller; what a role left behind
is asked of the host.
"""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from played import LAB, ONLY_THE_LOCK, FreshHost, Played, RunPlaybook
from testinfra.host import Host

from lab.layout import state_folder
from lab.packages import NEW, OLD

pytestmark = pytest.mark.lab

RUN = "2026-11-21-test-1"
REPOSITORIES = state_folder(LAB) / "backups"
MIRROR = state_folder(LAB) / "antivirus"
STATES = "/var/backups/rawat"

BackUp = Callable[..., Played]


@pytest.fixture(name="back_up")
def _back_up(run_playbook: RunPlaybook) -> BackUp:
    """Return a function that records and backs up hosts of the lab."""

    def back_up(host: str, *, check: bool = False, **variables: object) -> Played:
        call = {"rawat_run": RUN, "rawat_plan": "", **variables}
        return run_playbook("backup-hosts.yml", host, check=check, **call)

    return back_up


@pytest.fixture(name="empty_repository")
def _empty_repository(lab_inventory: Path) -> Callable[[str], Path]:
    """Return a function that takes a host's repository away and says where it will be."""
    assert lab_inventory.is_dir()

    def emptied(host: str) -> Path:
        repository = REPOSITORIES / host
        subprocess.run(["rm", "-rf", str(repository)], check=True)
        return repository

    return emptied


def restic(inventory: Path, repository: Path, *arguments: str) -> str:
    """Ask a repository, on the controller and with its password only."""
    password = inventory / "secrets" / "restic_password"
    done = subprocess.run(
        ["restic", "--no-cache", "--no-lock", "-r", str(repository), "-p", str(password), *arguments],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def snapshots(inventory: Path, repository: Path) -> list[dict[str, Any]]:
    """Return the snapshots of a repository."""
    found: list[dict[str, Any]] = json.loads(restic(inventory, repository, "snapshots", "--json"))
    return found


def flip_a_byte(path: Path) -> None:
    """Damage a file in its middle, keeping its size."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(content)


# Baseline ------------------------------------------------------------------------------------------


def test_baseline_lists_what_works_on_the_host(
    run_playbook: RunPlaybook, fresh_host: FreshHost, tmp_path: Path
) -> None:
    host = fresh_host("db1")
    plan = tmp_path / "plan.json"
    updates = [
        {"package": "lab-good", "from": OLD, "to": NEW},
        {"package": "not-there", "from": "1", "to": "2"},
    ]
    plan.write_text(json.dumps({"hosts": {"db1": {"updates": updates}}}))
    before = host.check_output("cat /var/log/dpkg.log | wc -l")

    played = run_playbook("backup-hosts.yml", "db1", check=True, rawat_run=RUN, rawat_plan=plan)
    found = played.evidence["db1"]["record_baseline"]

    assert {"ssh.service", "lab-good.service", "postgresql@15-main.service"} <= set(found["units_active"])
    assert found["units_failed"] == []
    assert {"tcp/22", "tcp/5432", "tcp/8090"} <= set(found["ports"])
    assert found["urls"] == [{"url": "http://127.0.0.1:8090/", "status": 200}]
    assert found["packages"] == {"lab-good": OLD}
    assert found["kernel"] == host.check_output("uname -r")
    assert found["boot_id"] == host.check_output("cat /proc/sys/kernel/random/boot_id")
    assert host.check_output("cat /var/log/dpkg.log | wc -l") == before


@pytest.mark.campaign
def test_baseline_leaves_out_services_that_end_by_themselves(back_up: BackUp, fresh_host: FreshHost) -> None:
    host = fresh_host("web2")
    host.check_output("systemd-run --unit=passing-by sleep 600")
    host.check_output("systemctl stop lab-good.service && systemd-run --unit=broken false; sleep 1")

    found = back_up("web2", check=True).evidence["web2"]["record_baseline"]

    assert not {"passing-by.service", "lab-good.service"} & set(found["units_active"])
    assert found["units_failed"] == ["broken.service"]
    assert found["urls"][0]["status"] == 0


# Backup --------------------------------------------------------------------------------------------


def test_backup_can_be_restored_with_restic_alone(
    back_up: BackUp,
    fresh_host: FreshHost,
    empty_repository: Callable[[str], Path],
    lab_inventory: Path,
    tmp_path: Path,
) -> None:
    host, repository = fresh_host("db1"), empty_repository("db1")
    host.check_output("runuser -u postgres -- psql -c 'create table surat as select 42 as nomor'")

    played = back_up("db1")
    found = played.evidence["db1"]["back_up_host"]
    restic(lab_inventory, repository, "restore", found["snapshot"], "--target", str(tmp_path))

    assert played.failures == {}
    assert [item["id"] for item in snapshots(lab_inventory, repository)] == [found["snapshot"]]
    assert found["check"] == "ok"
    assert found["restore_test"]["files"] == found["restore_test"]["matched"] >= 20
    assert found["files"] > 500
    assert "@" not in found["repository"]
    assert (tmp_path / "etc/hostname").read_text() == host.file("/etc/hostname").content_string
    states = (tmp_path / STATES.lstrip("/") / "package-states.tsv").read_text()
    assert f"lab-good\t{OLD}\tinstall\tinstalled\n" in states
    assert len(states.splitlines()) == found["package_states"]["packages"]
    folder = tmp_path / STATES.lstrip("/") / "databases"
    dumped = {item["path"].rpartition("/")[2] for item in found["databases"]}
    assert {path.name for path in folder.iterdir()} == dumped
    assert {"postgresql-15-main.globals.sql", "postgresql-15-main-postgres.dump"} <= dumped
    assert (folder / "postgresql-15-main-postgres.dump").read_bytes()[:5] == b"PGDMP"
    assert not host.file(f"{STATES}/databases").exists


def test_second_backup_of_a_run_proves_the_first_and_adds_none(
    back_up: BackUp, fresh_host: FreshHost, empty_repository: Callable[[str], Path], lab_inventory: Path
) -> None:
    fresh_host("web1")
    repository = empty_repository("web1")

    first = back_up("web1").evidence["web1"]["back_up_host"]
    played = back_up("web1")
    second = played.evidence["web1"]["back_up_host"]
    other = back_up("web1", rawat_run="2026-12-21-test-1").evidence["web1"]["back_up_host"]

    assert played.changed("web1") == 0
    assert (second["snapshot"], second["reused"]) == (first["snapshot"], True)
    assert second["package_states"] == first["package_states"]
    assert second["restore_test"]["matched"] == second["restore_test"]["files"] > 0
    assert other["snapshot"] != first["snapshot"]
    assert {item["id"] for item in snapshots(lab_inventory, repository)} == {
        first["snapshot"],
        other["snapshot"],
    }


@pytest.mark.campaign
def test_check_mode_changes_neither_host_nor_repository(
    back_up: BackUp, fresh_host: FreshHost, empty_repository: Callable[[str], Path]
) -> None:
    host, repository = fresh_host("web1"), empty_repository("web1")

    played = back_up("web1", check=True)

    assert played.failures == {}
    assert played.evidence["web1"]["back_up_host"]["snapshot"] == ""
    assert played.evidence["web1"]["back_up_host"]["package_states"]["packages"] > 100
    assert not host.file(STATES).exists
    assert not repository.exists()


def test_no_secret_is_left_on_the_host_or_shown(
    back_up: BackUp,
    fresh_host: FreshHost,
    empty_repository: Callable[[str], Path],
    lab_inventory: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    host = fresh_host("web1")
    empty_repository("web1")
    names = ("restic_password", "restic_rest_web1")
    secrets = [(lab_inventory / "secrets" / name).read_text().strip() for name in names]
    assert all(len(secret) >= 16 for secret in secrets)
    monkeypatch.setenv("ANSIBLE_VERBOSITY", "3")

    played = back_up("web1")

    assert played.failures == {}
    for secret in secrets:
        assert secret not in played.output
        assert secret not in json.dumps(played.evidence)
        # The journal is asked as text: on disk it may be compressed.
        assert host.run("journalctl --quiet --grep %s", secret).stdout == ""
        found = host.run("grep -rlsF %s /etc /home /root /run /tmp /usr/local /var /dev/shm", secret)
        assert found.stdout == ""
    assert host.check_output("ls /run | grep -c rawat || true") == "0"


def test_data_that_changed_in_the_repository_is_noticed(
    back_up: BackUp, fresh_host: FreshHost, empty_repository: Callable[[str], Path]
) -> None:
    host, repository = fresh_host("file1"), empty_repository("file1")
    assert back_up("file1").failures == {}
    packs = sorted((repository / "data").glob("*/*"), key=lambda path: path.stat().st_size)

    flip_a_byte(packs[-1])
    again = back_up("file1")
    other = back_up("file1", rawat_run="2026-12-21-test-1")

    for played in (again, other):
        assert "the repository is damaged" in played.failures["file1"]
        assert played.evidence["file1"]["back_up_host"]["check"] == "failed"
    assert host.check_output("ls /run | grep -c rawat || true") == "0"


@pytest.mark.campaign
def test_snapshot_that_vanished_is_noticed(
    back_up: BackUp, fresh_host: FreshHost, empty_repository: Callable[[str], Path]
) -> None:
    fresh_host("file1")
    repository = empty_repository("file1")
    found = back_up("file1").evidence["file1"]["back_up_host"]

    (repository / "snapshots" / found["snapshot"]).unlink()
    played = back_up("file1")

    assert "is not in the repository" in played.failures["file1"]


@pytest.mark.campaign
def test_repository_that_vanished_is_noticed_and_not_made_anew(
    back_up: BackUp, fresh_host: FreshHost, empty_repository: Callable[[str], Path]
) -> None:
    fresh_host("file1")
    empty_repository("file1")
    assert back_up("file1").failures == {}

    repository = empty_repository("file1")
    played = back_up("file1")

    assert "the repository with the snapshot of this run is gone" in played.failures["file1"]
    assert not (repository / "config").exists()


def test_wrong_password_is_refused_and_nothing_is_made(
    back_up: BackUp, fresh_host: FreshHost, empty_repository: Callable[[str], Path], tmp_path: Path
) -> None:
    host, repository = fresh_host("web1"), empty_repository("web1")
    assert back_up("web1").failures == {}
    before = sorted(path.name for path in repository.rglob("*") if path.is_file())
    wrong = tmp_path / "wrong"
    wrong.write_text("not-the-password-of-it")

    played = back_up("web1", back_up_host_password_file=wrong, rawat_run="2026-12-21-test-1")

    assert "wrong password" in played.failures["web1"]
    assert "not-the-password-of-it" not in played.output
    assert played.evidence["web1"]["back_up_host"]["snapshot"] == ""
    assert sorted(path.name for path in repository.rglob("*") if path.is_file()) == before
    assert host.check_output("ls /run | grep -c rawat || true") == "0"


@pytest.mark.campaign
def test_backup_server_that_is_down_is_noticed_at_once(back_up: BackUp, fresh_host: FreshHost) -> None:
    fresh_host("web1")
    begun = time.monotonic()

    played = back_up("web1", back_up_host_repository="rest:http://127.0.0.1:9/web1/")

    assert "the backup server does not answer at 127.0.0.1:9" in played.failures["web1"]
    assert time.monotonic() - begun < 60


def test_database_dump_that_breaks_off_fails_the_host(
    back_up: BackUp, fresh_host: FreshHost, empty_repository: Callable[[str], Path], lab_inventory: Path
) -> None:
    host, repository = fresh_host("db1"), empty_repository("db1")
    sql = "runuser -u postgres -- psql --tuples-only --no-align -c %s"
    host.check_output(sql, "create table surat as select generate_series(1, 1000) as nomor")
    path = host.check_output(sql, "select pg_relation_filepath('surat')")
    host.check_output("systemctl restart postgresql@15-main && rm /var/lib/postgresql/15/main/%s", path)

    played = back_up("db1")

    assert "pg_dump ended with 1" in played.failures["db1"]
    assert "nothing was backed up" in played.failures["db1"]
    assert not host.file(f"{STATES}/databases").exists
    assert not repository.exists() or snapshots(lab_inventory, repository) == []


@pytest.mark.campaign
def test_database_that_is_down_fails_the_host_unless_it_is_left_out(
    back_up: BackUp, fresh_host: FreshHost, empty_repository: Callable[[str], Path]
) -> None:
    host = fresh_host("db1")
    empty_repository("db1")
    host.check_output("systemctl stop postgresql@15-main")

    refused = back_up("db1")
    left_out = back_up("db1", back_up_host_postgresql=False)

    assert "PostgreSQL cluster 15/main is down" in refused.failures["db1"]
    assert left_out.failures == {}


# Antivirus -----------------------------------------------------------------------------------------


@pytest.fixture(name="update_antivirus")
def _update_antivirus(run_playbook: RunPlaybook, tmp_path: Path) -> Callable[..., Played]:
    """Return a function that updates the antivirus of a host and nothing else."""

    def update(host: str, **variables: object) -> Played:
        plan = tmp_path / "antivirus-plan.json"
        entry = {
            "updates": [],
            "new_packages": [],
            "antivirus": None,
            "reboot": {"expected": False, "because": []},
        }
        plan.write_text(json.dumps({"format": 1, "run": RUN, "hosts": {host: entry}, "not_planned": {}}))
        call = {"rawat_run": RUN, "rawat_plan": plan, "update_antivirus_max_age_days": 0, **variables}
        return run_playbook("apply-updates.yml", host, **call)

    return update


@contextmanager
def offered(change: Callable[[bytes], bytes]) -> Iterator[None]:
    """Let the mirror offer a changed daily database meanwhile."""
    path = MIRROR / "daily.cvd"
    before = path.read_bytes()
    path.write_bytes(change(before))
    try:
        yield
    finally:
        path.write_bytes(before)


def middle_flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


def test_antivirus_gets_and_loads_the_newer_database_once(
    update_antivirus: Callable[..., Played], fresh_host: FreshHost
) -> None:
    host = fresh_host("web2")

    first = update_antivirus("web2").evidence["web2"]["update_antivirus"]
    played = update_antivirus("web2")
    second = played.evidence["web2"]["update_antivirus"]

    assert first["before"] == {"on_disk": "1", "loaded": "1"}
    assert first["after"] == {"on_disk": "6", "loaded": "6"}
    assert (first["product"], first["changed"]) == ("ClamAV", True)
    assert (second["before"], second["changed"]) == (first["after"], False)
    assert played.changed("web2") == ONLY_THE_LOCK
    assert "/6/" in host.check_output("clamdscan --version")


@pytest.mark.campaign
def test_fetching_service_runs_again_if_it_ran_before(
    update_antivirus: Callable[..., Played], fresh_host: FreshHost
) -> None:
    host = fresh_host("web2")
    with offered(middle_flipped):
        host.check_output("systemctl start clamav-freshclam.service")
        refused = update_antivirus("web2")
        assert host.service("clamav-freshclam").is_running
    accepted = update_antivirus("web2")

    assert list(refused.failures) == ["web2"]
    assert accepted.failures == {}
    assert host.service("clamav-freshclam").is_running


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(middle_flipped, id="one bit flipped"),
        pytest.param(lambda content: content[: len(content) // 2], id="cut off"),
    ],
)
def test_damaged_database_is_refused_and_the_old_one_stays(
    update_antivirus: Callable[..., Played], fresh_host: FreshHost, damage: Callable[[bytes], bytes]
) -> None:
    fresh_host("web2")
    with offered(damage):
        played = update_antivirus("web2")

    assert played.failures["web2"].startswith("the mirror offers a damaged database")
    assert played.evidence["web2"]["update_antivirus"]["after"] == {"on_disk": "1", "loaded": "1"}


@pytest.mark.campaign
def test_mirror_that_is_down_is_told_from_a_damaged_database(
    update_antivirus: Callable[..., Played], fresh_host: FreshHost
) -> None:
    host = fresh_host("web2")
    settings = "/etc/clamav/freshclam.conf"
    host.check_output(f"sed -i 's|http://[0-9.]*:8801|http://127.0.0.1:9|' {settings}")

    played = update_antivirus("web2")

    assert played.failures["web2"].startswith("the mirror does not answer")
    assert played.evidence["web2"]["update_antivirus"]["changed"] is False


@pytest.mark.campaign
def test_the_fetching_service_comes_back_when_everything_of_ours_is_killed(
    update_antivirus: Callable[..., Played], fresh_host: FreshHost
) -> None:
    """The mirror takes the call and says nothing; amid it our processes on the host die by kill -9."""
    host = fresh_host("web2")
    silent = "import socket, time; s = socket.create_server(('127.0.0.1', 9)); time.sleep(300)"
    host.check_output("systemd-run --unit=silent python3 -c %s", silent)
    edits = "s|http://[0-9.]*:8801|http://127.0.0.1:9|; /Timeout/d; $ a ConnectTimeout 5\nReceiveTimeout 15"
    host.check_output("sed -i %s /etc/clamav/freshclam.conf", edits)
    host.check_output("systemctl restart clamav-freshclam.service")

    with ThreadPoolExecutor() as pool:
        update = pool.submit(update_antivirus, "web2")
        await_state(host, "rawat-freshclam.service", "active")
        meanwhile = host.run("systemctl is-active clamav-freshclam.service").stdout.strip()
        # The module is a nameless python3 that was sent over ssh: known as who waits for the unit.
        host.check_output("waits=$(pidof systemd-run) && kill -9 $(ps -o ppid= -p $waits) $waits")
        played = update.result()

    assert "web2" in played.failures
    assert meanwhile == "inactive"
    await_state(host, "clamav-freshclam.service", "active")


def await_state(host: Host, unit: str, state: str) -> None:
    """Wait until a unit of a host is in a state."""
    deadline = time.monotonic() + 120
    while (found := host.run(f"systemctl is-active {unit}").stdout.strip()) != state:
        assert time.monotonic() < deadline, f"{unit} is {found}"
        time.sleep(0.5)


@pytest.mark.campaign
def test_old_database_is_an_error_even_when_the_mirror_has_no_newer(
    update_antivirus: Callable[..., Played], fresh_host: FreshHost
) -> None:
    fresh_host("web2")

    played = update_antivirus("web2", update_antivirus_max_age_days=7)

    assert "days old, more than 7" in played.failures["web2"]
    assert played.evidence["web2"]["update_antivirus"]["after"]["loaded"] == "6"


@pytest.mark.campaign
def test_host_without_antivirus_is_an_error_only_where_it_is_required(
    update_antivirus: Callable[..., Played], fresh_host: FreshHost
) -> None:
    host = fresh_host("web2")
    host.check_output("dpkg --force-depends --purge clamav-freshclam clamav-daemon clamdscan clamav 2>&1")

    without = update_antivirus("web2")
    required = update_antivirus("web2", update_antivirus_required=True)

    assert without.failures == {}
    assert without.evidence["web2"]["update_antivirus"]["product"] is None
    assert "ClamAV is required" in required.failures["web2"]
