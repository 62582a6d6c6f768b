"""Dumps out of the backup are loaded into servers of their own; the host's servers are not touched."""

from __future__ import annotations

import pytest
from backup_field import BackupField

pytestmark = [pytest.mark.lab, pytest.mark.campaign]

NAMES = "select string_agg(datname, ',' order by datname) from pg_database;"


def test_every_dump_loads_and_the_host_s_own_servers_stay_as_they_are(field: BackupField) -> None:
    before = field.digests("svc1"), field.postgresql("svc1", NAMES), field.mariadb("svc1", "show databases;")

    played = field.back_up("2026-11-22-load-1", back_up_host_load_databases=9)

    assert played.failures == {}
    loaded = played.evidence["svc1"]["back_up_host"]["restore_test"]["loaded"]
    tables = {(one["engine"], one["database"]): one["tables"] for one in loaded}
    assert tables["postgresql", "layanan"] == 1
    assert tables["mariadb", "kepegawaian"] == 2
    assert len(tables) == 5
    after = field.digests("svc1"), field.postgresql("svc1", NAMES), field.mariadb("svc1", "show databases;")
    assert after == before
    host = field.host("svc1")
    assert host.run("ls -d /var/tmp/rawat-load-*").rc != 0
    assert host.check_output("pgrep -c mariadbd") == "1"


def test_a_dump_that_does_not_load_fails_the_backup(field: BackupField) -> None:
    """Whole, identical, and of no use: its table needs a row of another one that is loaded after it."""
    field.postgresql("svc1", "create database rusak;")
    field.postgresql(
        "svc1",
        "create table z_nilai (n int); insert into z_nilai values (1);"
        "create function ada(n int) returns bool language sql"
        " as 'select exists (select from public.z_nilai)';"
        "create table a_surat (n int check (ada(n))); insert into a_surat values (1);",
        "rusak",
    )
    try:
        played = field.back_up("2026-11-22-load-2", back_up_host_load_databases=9)
    finally:
        field.postgresql("svc1", "drop database rusak;")

    assert "the dump of postgresql 15/main rusak does not load" in played.failures["svc1"]
    assert field.host("svc1").run("ls -d /var/tmp/rawat-load-*").rc != 0
