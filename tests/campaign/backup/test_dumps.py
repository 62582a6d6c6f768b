"""Dumps of real servers: restored on another host they hold the same rows; a broken one is never kept."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from backup_field import ODD, BackupField
from labs import command
from office_services import put
from played import play

pytestmark = [pytest.mark.lab, pytest.mark.campaign]

FOLDER = "var/backups/rawat/databases"
RECORD = "/var/backups/rawat/verified-snapshot.json"


def test_dumps_come_back_to_life_on_another_host(field: BackupField, tmp_path: Path) -> None:
    played = field.back_up("2026-11-21-dump-1")
    found = played.evidence["svc1"]["back_up_host"]
    field.restic(field.rest_repository, "restore", found["snapshot"], "--target", str(tmp_path / "restored"))
    restored = tmp_path / "restored" / FOLDER
    field.start_databases("svc2")
    other = field.host("svc2")
    for name in (
        "postgresql-15-main.globals.sql",
        "postgresql-15-main-layanan.dump",
        "mariadb-kepegawaian.sql",
    ):
        content = (restored / name).read_bytes()
        # A command line holds no large file.
        for start in range(0, len(content), 60_000):
            put(other, "/tmp/piece", content[start : start + 60_000])
            other.check_output(f"cat /tmp/piece >> /tmp/{name}")
    other.run("runuser -u postgres -- psql -Xq -f /tmp/postgresql-15-main.globals.sql")
    other.check_output("runuser -u postgres -- pg_restore --create --dbname=postgres"
                       " /tmp/postgresql-15-main-layanan.dump")  # fmt: skip
    other.check_output("sh -c 'mariadb < /tmp/mariadb-kepegawaian.sql'")

    assert played.failures == {}
    assert field.digests("svc2") == field.digests("svc1")
    owner = "select pg_get_userbyid(datdba) from pg_database where datname = 'layanan'"
    assert field.postgresql("svc2", owner) == "petugas"
    assert {*ODD, "layanan", "kepegawaian", '--aneh; "x"'} <= {one["database"] for one in found["databases"]}
    assert {one["database"]: one["not_transactional"] for one in found["databases"]
            if one.get("not_transactional")} == {"kepegawaian": 1}  # fmt: skip


def test_the_record_of_a_backup_counts_as_last_dump(field: BackupField, tmp_path: Path) -> None:
    assert field.back_up("2026-11-21-dump-2").failures == {}
    host = field.host("svc1")
    assert not host.file(f"/{FOLDER}").exists
    said = {
        "check_database_via": "svc1",
        "check_database_engine": "mariadb",
        "check_database_dumps": [RECORD],
    }
    office = tmp_path / "office.yml"
    office.write_text(json.dumps({"databases": {"hosts": {"layanan": said}}}))

    words = command("check-hosts.yml", "layanan", {}, field.inventory, office)
    checked = play(words, tmp_path / "channel.jsonl", seconds=180)

    found = {one["code"]: one for one in checked.evidence["layanan"]["check_database"]["findings"]}
    assert (found["database_dump_age"]["severity"], found["database_dump_age"]["subject"]) == ("good", RECORD)
    assert found["database_dump_whole"]["severity"] == "good"
    assert found["database_dump_size"]["measured"] > 100_000


@pytest.mark.parametrize(
    ("breaks", "mends", "said"),
    [
        pytest.param("use kepegawaian; create view rusak as select n from lama;"
                     "alter table lama rename lama2;",
                     "use kepegawaian; drop view rusak; alter table lama2 rename lama;",
                     "mariadb-dump ended with 2", id="a broken view"),
    ],
)  # fmt: skip
def test_a_dump_that_fails_makes_no_snapshot(field: BackupField, breaks: str, mends: str, said: str) -> None:
    before = snapshots(field)
    field.mariadb("svc1", breaks)
    try:
        played = field.back_up("2026-11-21-dump-3")
    finally:
        field.mariadb("svc1", mends)

    assert said in played.failures["svc1"]
    assert snapshots(field) == before
    assert not field.host("svc1").file(f"/{FOLDER}").exists


def test_servers_that_are_down_are_named(field: BackupField) -> None:
    host = field.host("svc1")
    for stop, start, said in (
        ("systemctl stop mariadb", "systemctl start mariadb", "MariaDB is on this host and cannot be dumped"),
        ("pg_ctlcluster 15 main stop", "pg_ctlcluster 15 main start", "PostgreSQL cluster 15/main is down"),
    ):
        host.check_output(stop)
        played = field.back_up("2026-11-21-dump-4")
        host.check_output(start)
        assert said in played.failures["svc1"]


@pytest.mark.parametrize("lost", [1, 20, 1_000, 500_000])
def test_a_dump_cut_off_anywhere_cannot_be_read_back(field: BackupField, lost: int) -> None:
    """What `pg_restore --list` passes: it reads no more than the contents, which stand first."""
    host = field.host("svc1")
    dump = "cd /tmp && runuser -u postgres -- pg_dump --cluster 15/main -Fc --dbname=layanan"
    host.check_output(f"sh -c '{dump} > whole && head -c -{lost} whole > cut'")
    read = "sh -c 'runuser -u postgres -- pg_restore --cluster 15/main {} < /tmp/cut > /dev/null'"

    assert host.run(read.format("--list")).rc == 0
    assert host.run(read.format("--file=-")).rc == 1


def snapshots(field: BackupField) -> list[str]:
    if not (field.rest_repository / "config").exists():
        return []
    return [item["id"] for item in json.loads(field.restic(field.rest_repository, "snapshots", "--json"))]
