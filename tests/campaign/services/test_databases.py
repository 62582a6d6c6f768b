"""PostgreSQL and MariaDB on lab hosts, with replicas: good, and with each fault that has a name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from office_services import put, stop
from service_field import Office, found, not_good
from testinfra.host import Host

from lab import faults

pytestmark = pytest.mark.campaign
PASSWORD = "kata-sandi:yang\\panjang"
DUMPS = "/var/backups/basisdata"


def as_postgres(host: Host, sql: str, port: int = 5432) -> str:
    put(host, "/tmp/ask.sql", sql)
    return host.check_output(f"runuser -u postgres -- psql -XAtq -p {port} -f /tmp/ask.sql")


def as_mariadb(host: Host, sql: str) -> str:
    put(host, "/tmp/ask.sql", sql)
    return host.check_output("sh -c 'mariadb --batch < /tmp/ask.sql'")


@pytest.fixture(name="postgresql", scope="module")
def _postgresql(lab_inventory: Path) -> Iterator[None]:
    """Make a primary on svc1 and a replica of it on svc2."""
    one, two = (Office.of(lab_inventory).host(name) for name in ("svc1", "svc2"))
    address = Office.of(lab_inventory).address("svc1")
    one.check_output("pg_createcluster 15 main -o listen_addresses='*'")
    one.check_output("sh -c 'echo host all,replication all 10.205.0.0/16 scram-sha-256"
                     " >> /etc/postgresql/15/main/pg_hba.conf'")  # fmt: skip
    one.check_output("pg_ctlcluster 15 main start")
    secret = PASSWORD.replace("'", "''")
    as_postgres(one, f"create role pantau login password '{secret}' in role pg_monitor;"
                     f"create role ganda login replication password '{secret}';"
                     "create database layanan; ")  # fmt: skip
    as_postgres(one, "create table t as select generate_series(1, 20000) as n;")
    two.check_output("pg_createcluster 15 main")
    escaped = PASSWORD.replace("\\", "\\\\").replace(":", "\\:")
    put(two, "/var/lib/postgresql/.pgpass", f"*:*:*:*:{escaped}\n")
    two.check_output("sh -c 'cd /var/lib/postgresql; chown postgres: .pgpass; chmod 600 .pgpass;"
                     " rm -rf /var/lib/postgresql/15/main'")  # fmt: skip
    two.check_output(
        f"runuser -u postgres -- pg_basebackup -h {address} -U ganda -R -D /var/lib/postgresql/15/main"
    )
    two.check_output("pg_ctlcluster 15 main start")
    yield
    for host in (one, two):
        host.run("pg_dropcluster --stop 15 main")


@pytest.fixture(name="mariadb", scope="module")
def _mariadb(lab_inventory: Path) -> Iterator[None]:
    """Make a primary on svc1 and a replica of it on svc2."""
    one, two = (Office.of(lab_inventory).host(name) for name in ("svc1", "svc2"))
    address = Office.of(lab_inventory).address("svc1")
    for number, host in enumerate((one, two), 1):
        put(host, "/etc/mysql/mariadb.conf.d/90-lab.cnf",
            f"[mariadbd]\nserver_id={number}\nlog_bin=bin\nbind_address=0.0.0.0\n")  # fmt: skip
        host.check_output("systemctl start mariadb")
    as_mariadb(one, "create user ganda identified by 'x'; grant replication slave on *.* to ganda;"
                    "create user pantau identified by 'kata';"
                    "grant process, replica monitor on *.* to pantau; create database layanan;"
                    "create table layanan.t (n int primary key); "
                    "insert into layanan.t values (1);")  # fmt: skip
    as_mariadb(two, f"change master to master_host='{address}', master_user='ganda', master_password='x',"
                    " master_connect_retry=1, master_use_gtid=slave_pos; start slave;")  # fmt: skip
    yield
    for host in (one, two):
        stop(host, "mariadb")


@pytest.fixture(name="dump")
def _dump(office: Office) -> str:
    """Leave a dump of today and one of yesterday."""
    host = office.host("svc1")
    host.check_output(f"rm -rf {DUMPS}")
    put(host, f"{DUMPS}/kemarin.sql", "-- isi\n" * 100 + "-- PostgreSQL database dump complete\n")
    host.check_output(f"touch -d '1 day ago' {DUMPS}/kemarin.sql")
    put(host, f"{DUMPS}/hari-ini.sql", "-- isi\n" * 110 + "-- PostgreSQL database dump complete\n")
    return f"{DUMPS}/*.sql"


def local(dump: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any input of the role
    return {"check_database_via": "svc1", "check_database_dumps": [dump], "check_database_timeout": 8} | {
        f"check_database_{key}": value for key, value in more.items()
    }


@pytest.mark.usefixtures("postgresql")
class TestPostgresql:
    def test_a_good_primary_over_its_socket(self, office: Office, dump: str) -> None:
        check = office.check("check_database", local(dump, role="primary", replicas=1))
        assert not_good(check) == {}
        assert found(check, "database_replicas").measured == 1
        assert found(check, "database_dump_age").subject == f"{DUMPS}/hari-ini.sql"
        assert {"layanan", "postgres"} <= {one["name"] for one in check.facts["databases"]}

    def test_a_good_replica(self, office: Office) -> None:
        check = office.check(
            "check_database", {"check_database_via": "svc2", "check_database_role": "replica"}
        )
        assert (not_good(check), found(check, "database_replication").measured) == ({}, "running")

    def test_another_role_than_expected(self, office: Office) -> None:
        check = office.check(
            "check_database", {"check_database_via": "svc2", "check_database_role": "primary"}
        )
        assert not_good(check) == {"database_role": "critical"}

    def by_network(self, office: Office, password: str, user: str = "pantau") -> dict[str, Any]:
        return {
            "check_database_via": "localhost", "check_database_become": False, "check_database_timeout": 8,
            "check_database_address": office.address("svc1"), "check_database_user": user,
            "check_database_password": password,
        }  # fmt: skip

    def test_from_the_controller_with_a_password_that_nobody_sees(self, office: Office) -> None:
        check = office.check("check_database", self.by_network(office, PASSWORD))
        assert not_good(check) == {}
        assert office.played
        said = office.played.output + str(office.played.evidence)
        said += "".join(path.read_text() for path in office.folder.glob("channel*"))
        assert ("panjang" in said, "panjang" in (office.folder / "office.yml").read_text()) == (False, True)

    @pytest.mark.parametrize(
        ("password", "user"), [("salah-sama-sekali", "pantau"), (PASSWORD, "bukan-siapa")]
    )
    def test_a_wrong_password_or_user(self, office: Office, password: str, user: str) -> None:
        check = office.check("check_database", self.by_network(office, password, user))
        assert (not_good(check), found(check, "database_up").severity) == (
            {"database_login": "critical"},
            "good",
        )
        assert "salah-sama" not in str(office.played)

    def test_a_replica_that_lost_its_primary(self, office: Office) -> None:
        one = office.host("svc1")
        one.check_output("pg_ctlcluster 15 main stop -m fast")
        try:
            gone = office.check("check_database", local("/nothing/*"))
            replica = office.check("check_database", {"check_database_via": "svc2"})
        finally:
            one.check_output("pg_ctlcluster 15 main start")
        assert found(gone, "database_up").measured == "refused"
        assert found(gone, "database_dump_missing").severity == "critical"
        assert found(replica, "database_replication").severity == "critical"
        assert found(replica, "database_lag").severity == "unmeasured"

    def test_a_replica_that_does_not_replay(self, office: Office) -> None:
        two = office.host("svc2")
        as_postgres(two, "select pg_wal_replay_pause();")
        try:
            as_postgres(office.host("svc1"), "create table u as select generate_series(1, 50000) as n;")
            told = office.check(
                "check_database",
                {"check_database_via": "svc2", "check_database_lag_warning_seconds": 0},
            )
            primary = office.check("check_database", local("/x", replica_lag_warning_bytes=100_000))
        finally:
            as_postgres(two, "select pg_wal_replay_resume();")
        assert found(told, "database_lag").severity == "warning"
        assert found(primary, "database_replica_lag").severity == "warning"

    def test_dumps_that_are_old_cut_off_or_shrunk(self, office: Office, dump: str) -> None:
        host = office.host("svc1")
        host.check_output(f"sh -c 'rm {DUMPS}/hari-ini.sql; touch -d \"8 days ago\" {DUMPS}/kemarin.sql'")
        assert not_good(office.check("check_database", local(dump))) == {"database_dump_age": "critical"}
        put(host, f"{DUMPS}/hari-ini.sql", "-- isi\n" * 90)
        assert not_good(office.check("check_database", local(dump))) == {"database_dump_whole": "critical"}
        put(host, f"{DUMPS}/hari-ini.sql", "-- PostgreSQL database dump complete\n")
        assert not_good(office.check("check_database", local(dump))) == {"database_dump_size": "warning"}

    def test_connections_are_short(self, office: Office, dump: str) -> None:
        told = office.check("check_database", local(dump, connections_warning_percent=1))
        assert not_good(told) == {"database_connections": "warning"}


@pytest.mark.usefixtures("mariadb")
class TestMariadb:
    def test_a_good_primary_over_its_socket(self, office: Office, dump: str) -> None:
        check = office.check("check_database", local(dump, engine="mariadb", role="primary", replicas=1))
        assert not_good(check) == {}
        assert {"layanan", "mysql"} <= {one["name"] for one in check.facts["databases"]}

    def test_a_good_replica(self, office: Office) -> None:
        said = {
            "check_database_engine": "mariadb",
            "check_database_via": "svc2",
            "check_database_role": "replica",
        }
        check = office.check("check_database", said)
        assert (not_good(check), found(check, "database_replication").measured) == ({}, "running")

    @pytest.mark.parametrize(("password", "wrong"), [("kata", {}), ("salah", {"database_login": "critical"})])
    def test_by_the_network(self, office: Office, password: str, wrong: dict[str, str]) -> None:
        said = {
            "check_database_engine": "mariadb", "check_database_via": "svc2", "check_database_timeout": 8,
            "check_database_address": office.address("svc1"), "check_database_user": "pantau",
            "check_database_password": password,
        }  # fmt: skip
        assert not_good(office.check("check_database", said)) == wrong

    def test_broken_replication(self, office: Office) -> None:
        # What the replica has already, written there by somebody, cannot be written there once more.
        as_mariadb(office.host("svc2"), "insert into layanan.t values (7);")
        as_mariadb(office.host("svc1"), "insert into layanan.t values (7);")
        as_mariadb(office.host("svc2"), "select sleep(2);")
        said = {"check_database_engine": "mariadb", "check_database_via": "svc2"}
        told = found(office.check("check_database", said), "database_replication")
        assert (told.severity, "Duplicate" in str(told.measured)) == ("critical", True)

    def test_a_stopped_server(self, office: Office, dump: str) -> None:
        office.host("svc1").check_output("systemctl stop mariadb.socket mariadb.service")
        told = office.check("check_database", local(dump, engine="mariadb"))
        assert found(told, "database_up").measured == "refused"


def test_the_computer_that_hosts_it_is_gone(office: Office) -> None:
    """Nobody knows how its database is: the host is unreachable, and no finding stands."""
    faults.cut_cable(office.lab, office.lab.host("svc2"))
    played = office.play("check_database", {"layanan": {"check_database_via": "svc2"}}, "check-hosts.yml")
    assert played.counts["layanan"]["unreachable"] == 1
    assert played.evidence.get("layanan", {}).get("check_database", {}) == {}
