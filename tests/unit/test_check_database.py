"""Asking a database server: what its clients print, whole, cut off and hostile, and how it is judged."""

from __future__ import annotations

import json
import os
import stat
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import role_modules

from runner.checks import Check
from runner.judges import database

THRESHOLDS: dict[str, Any] = {
    "role": "any", "replicas": 0, "lag_warning": 60, "lag_critical": 600, "replica_lag_warning": 1000,
    "replica_lag_critical": 2000, "connections_warning": 80, "connections_critical": 95, "size_warning": 0,
    "size_critical": 0, "growth_warning": 50, "growth_critical": 200, "dump_age_warning": 2,
    "dump_age_critical": 7, "dump_shrunk": 50, "earlier": {},
}  # fmt: skip
NOW = 1_800_000_000
DAY = 86_400
GOOD: dict[str, Any] = {
    "engine": "postgresql", "now": NOW, "outcome": "answered", "version": "15.9", "seconds_up": 5000,
    "connections": 10, "most_connections": 100, "is_replica": False, "replicas": [], "source": None,
    "databases": [{"name": "layanan", "bytes": 1000}],
    "dumps": {"count": 2, "previous_bytes": 900,
              "newest": {"path": "/b/x.sql", "age_seconds": DAY, "bytes": 1000, "is_whole": True}},
}  # fmt: skip


@pytest.fixture(name="module", scope="module")
def _module() -> ModuleType:
    return role_modules.module("check_database")


def judged(facts: dict[str, Any], **more: Any) -> dict[str, tuple[str, Any]]:  # noqa: ANN401 - thresholds
    found = database.judge(GOOD | facts, THRESHOLDS | more)
    Check.model_validate({"kind": "database", "facts": {}, "findings": found})
    return {one["code"]: (one["severity"], one["measured"]) for one in found}


def test_a_good_server_is_good() -> None:
    told = judged({})
    assert told.pop("database_growth") == ("unmeasured", None)
    assert {severity for severity, _ in told.values()} == {"good"}


@pytest.mark.parametrize(
    ("facts", "more", "code", "found"),
    [
        ({"outcome": "refused"}, {}, "database_up", ("critical", "refused")),
        ({"outcome": "timeout"}, {}, "database_up", ("critical", "timeout")),
        ({"outcome": "refused"}, {}, "database_size", ("unmeasured", None)),
        ({"outcome": "login", "error": "no"}, {}, "database_up", ("good", "answered")),
        ({"outcome": "login", "error": "no"}, {}, "database_login", ("critical", "no")),
        ({}, {"role": "replica"}, "database_role", ("critical", "primary")),
        ({"is_replica": True}, {"role": "replica"}, "database_role", ("good", "replica")),
        ({"connections": 80}, {}, "database_connections", ("warning", 80.0)),
        ({"connections": 95}, {}, "database_connections", ("critical", 95.0)),
        ({}, {"size_warning": 1000}, "database_size", ("warning", 1000)),
        ({}, {"replicas": 1}, "database_replicas", ("critical", 0)),
        (
            {"replicas": [{"name": "r", "state": "catchup", "lag_bytes": 0}]},
            {"replicas": 1},
            "database_replicas",
            ("critical", 0),
        ),
        (
            {"replicas": [{"name": "r", "state": "streaming", "lag_bytes": 2500}]},
            {"replicas": 1},
            "database_replica_lag",
            ("critical", 2500),
        ),
        (
            {"source": {"is_running": False, "lag_seconds": 0, "problem": ""}},
            {},
            "database_replication",
            ("critical", "stopped"),
        ),
        # Nothing was received and all of it is replayed: standing still is no lag of 0.
        (
            {"source": {"is_running": False, "lag_seconds": 0, "problem": ""}},
            {},
            "database_lag",
            ("unmeasured", None),
        ),
        (
            {"source": {"is_running": True, "lag_seconds": 61.2, "problem": ""}},
            {},
            "database_lag",
            ("warning", 61.2),
        ),
        (
            {"source": {"is_running": True, "lag_seconds": None, "problem": ""}},
            {},
            "database_lag",
            ("unmeasured", None),
        ),
    ],
)
def test_what_is_wrong_with_a_server(
    facts: dict[str, Any], more: dict[str, Any], code: str, found: tuple[str, Any]
) -> None:
    assert judged(facts, **more)[code] == found


@pytest.mark.parametrize(
    ("changed", "code", "found"),
    [
        ({"age_seconds": 2 * DAY}, "database_dump_age", ("warning", 2.0)),
        ({"age_seconds": 8 * DAY}, "database_dump_age", ("critical", 8.0)),
        ({"bytes": 450}, "database_dump_size", ("warning", 450)),
        ({"bytes": 0}, "database_dump_size", ("critical", 0)),
        ({"is_whole": False}, "database_dump_whole", ("critical", "cut off")),
    ],
)
def test_what_is_wrong_with_a_dump(changed: dict[str, Any], code: str, found: tuple[str, Any]) -> None:
    assert judged({"dumps": {**GOOD["dumps"], "newest": GOOD["dumps"]["newest"] | changed}})[code] == found


def test_no_dump_where_one_should_be_is_critical_and_no_place_is_unmeasured() -> None:
    none = {"count": 0, "newest": None, "previous_bytes": None}
    assert judged({"dumps": none})["database_dump_missing"] == ("critical", None)
    assert judged({"dumps": None})["database_dump_age"] == ("unmeasured", None)


@pytest.mark.parametrize(
    ("points", "growth"),
    [
        ([], None),
        ([[NOW - 3600, 10]], None),
        ([[NOW - 30 * DAY, 500]], ("warning", 100.0)),
        ([[NOW - 15 * DAY, 800]], ("warning", 50.0)),
        ([[NOW - 400 * DAY, 1], [NOW - 30 * DAY, 900]], ("good", 11.1)),
        ([[NOW - 30 * DAY, 2000]], ("good", -50.0)),
        ([[NOW + DAY, 1]], None),
    ],
)
def test_growth_is_what_earlier_runs_show(
    points: list[list[float]], growth: tuple[str, float] | None
) -> None:
    told = judged({}, earlier={"databases": points})["database_growth"]
    assert told == (growth or ("unmeasured", None))


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        ('psql: error: connection to server on socket "/x" failed: No such file or directory', "refused"),
        ("psql: error: connection to server at x failed: Connection refused", "refused"),
        ('psql: error: connection failed: FATAL:  password authentication failed for user "pantau"', "login"),
        ('psql: error: connection to server failed: FATAL:  role "pantau" does not exist', "login"),
        ("psql: error: connection to server failed: FATAL:  no pg_hba.conf entry for host", "login"),
        ("psql: error: connection to server failed: FATAL:  the database system is starting up", "starting"),
        ('psql: error: connection to server at "x" failed: timeout expired', "timeout"),
        ("ERROR:  canceling statement due to statement timeout", "timeout"),
        ("ERROR 2002 (HY000): Can't connect to local server through socket '/x' (2)", "refused"),
        ("ERROR 2003 (HY000): Can't connect to server on 'x' (110)", "timeout"),
        ("ERROR 1045 (28000): Access denied for user 'pantau'@'x' (using password: YES)", "login"),
        ("ERROR 1227 (42000): Access denied; you need SUPER", "login"),
        ("ERROR:  column x does not exist", "not understood"),
        ("", "not understood"),
    ],
)
def test_a_wrong_password_is_told_apart_from_a_server_that_is_down(
    module: ModuleType, said: str, outcome: str
) -> None:
    assert module.outcome_of(said) == outcome


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"version": 1', "\x00", "x" * 5000])
def test_what_is_no_json_object_is_not_understood(module: ModuleType, text: str) -> None:
    with pytest.raises(module.ClientError) as told:
        module.parsed(text)
    assert told.value.outcome == "not understood"


HEAD = (
    "Connection_name\tSlave_IO_Running\tSlave_SQL_Running\tLast_IO_Error\tLast_SQL_Error"
    "\tSeconds_Behind_Master"
)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([], None),
        (["\tYes\tYes\t\t\t3"], {"is_running": True, "lag_seconds": 3, "problem": ""}),
        (["\tYes\tYes\t\t\tNULL"], {"is_running": True, "lag_seconds": None, "problem": ""}),
        (["\tConnecting\tYes\terror reconnecting\t\tNULL"],
         {"is_running": False, "lag_seconds": None, "problem": "error reconnecting"}),
        (["a\tYes\tYes\t\t\t3", "b\tYes\tNo\t\tduplicate\tNULL"],
         {"is_running": False, "lag_seconds": None, "problem": "duplicate"}),
        # A broken query's text cannot add a line: the client escapes line breaks and tabs in columns.
        (["\tYes\tNo\t\tx\\nSlave_SQL_Running: Yes\\tYes\tNULL"],
         {"is_running": False, "lag_seconds": None, "problem": "x\\nSlave_SQL_Running: Yes\\tYes"}),
        (["\tYes"], {"is_running": False, "lag_seconds": None, "problem": ""}),
    ],
)  # fmt: skip
def test_how_a_replica_goes(module: ModuleType, rows: list[str], told: dict[str, Any] | None) -> None:
    assert module.replica_of("\n".join([HEAD, *rows] if rows else [])) == told


def test_names_of_databases_are_strangers_text(module: ModuleType) -> None:
    told = module.databases([{"name": "a\x1b[2Jb\nc\u202e" + "z" * 900, "bytes": None}] * 300)
    assert (len(told), told[0]["name"][:6], len(told[0]["name"])) == (200, "a[2Jb ", 200)


def test_the_newest_dump_and_whether_it_was_cut_off(module: ModuleType, tmp_path: Path) -> None:
    for name, text, age in (("a.sql", "x" * 900, 9), ("b.sql", "insert\n-- Dump completed on 2026", 1)):
        (tmp_path / name).write_text(text)
        os.utime(tmp_path / name, (time.time() - age * DAY,) * 2)
    (tmp_path / "c.sql").symlink_to("/etc/passwd")
    told = module.find_dumps([f"{tmp_path}/*.sql"], "postgresql")
    assert (told["count"], told["newest"]["path"], told["newest"]["is_whole"]) == (
        2,
        f"{tmp_path}/b.sql",
        True,
    )
    assert (told["previous_bytes"], told["newest"]["age_seconds"] // DAY) == (900, 1)
    (tmp_path / "b.sql").write_text("-- Dump comp")
    assert module.find_dumps([f"{tmp_path}/b.sql"], "postgresql")["newest"]["is_whole"] is False


def record_of(sizes: dict[str, list[int]], **more: Any) -> str:  # noqa: ANN401 - any field of the record
    dumps = [{"engine": engine, "bytes": size} for engine, every in sizes.items() for size in every]
    return json.dumps({"tag": "r", "started": NOW, "evidence": {"databases": dumps}} | more)


def test_dumps_in_a_proven_backup_count_as_dumps(module: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "verified-snapshot.json"
    before = {"started": NOW - DAY, "bytes": {"postgresql": 90}}
    file.write_text(record_of({"postgresql": [40, 2], "mariadb": [7]}, dumps_before=before))

    told = module.find_dumps([str(file)], "postgresql")
    other = module.find_dumps([str(file)], "mariadb")

    assert (told["count"], told["previous_bytes"]) == (2, 90)
    assert (told["newest"]["bytes"], told["newest"]["is_whole"]) == (42, True)
    assert (other["count"], other["newest"]["bytes"], other["previous_bytes"]) == (1, 7, None)


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", "[" * 100_000, "\x00", '{"evidence": 3}', '{"evidence": {"databases": [1]}}',
     record_of({"postgresql": [4]}, started="soon"), record_of({"mariadb": [4]})],
)  # fmt: skip
def test_a_record_without_dumps_of_the_server_is_no_dump(
    module: ModuleType, tmp_path: Path, text: str
) -> None:
    file = tmp_path / "verified-snapshot.json"
    file.write_text(text)

    assert module.find_dumps([str(file)], "postgresql")["newest"] is None


def test_a_password_is_in_a_file_of_our_own_and_nowhere_else(module: ModuleType) -> None:
    wanted = {"engine": "postgresql", "address": "10.0.0.1", "port": 0, "user": "pantau", "account": "",
              "password": "ra:ha\\sia", "database": "", "dumps": [], "timeout": 5}  # fmt: skip
    seen = {}

    def run(wanted: dict[str, Any], command: list[str], question: str, environment: dict[str, str]) -> str:
        seen.update(command=command, question=question, environment=environment)
        file = Path(environment["PGPASSFILE"])
        seen.update(mode=stat.S_IMODE(file.stat().st_mode), text=file.read_text())
        raise module.ClientError("refused", str(wanted["timeout"]))

    with pytest.MonkeyPatch.context() as patch, module.private_folder("") as private:
        patch.setattr(module, "run", run)
        told = module.measure(wanted, private)
    assert (seen["mode"], seen["text"]) == (0o600, "*:*:*:*:ra\\:ha\\\\sia\n")
    assert "sia" not in str([seen["command"], seen["question"], seen["environment"], told])
    assert not private.exists()
