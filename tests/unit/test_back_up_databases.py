"""Dumping databases: names as data, dumps that are cut off or fail, and a disk without room."""

from __future__ import annotations

import json
import os
import shutil
import stat
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import role_modules

HOSTILE = ["--help", "a b", "host=192.0.2.1 dbname=x", "postgresql://x/", "../../etc/passwd", ".", "surat;--",
           "it's", "back\\slash", "new\nline", "tab\there", "basis é", "x" * 63, "\u202egnp", "$(id)",
           "a/b"]  # fmt: skip
END = "-- Dump completed on 2026-11-21 10:00:00\n"
Programs = Callable[[dict[str, str]], None]


@pytest.fixture(name="module", scope="module")
def _module() -> ModuleType:
    return role_modules.shared("back_up_host_databases")


@pytest.fixture(name="programs")
def _programs(module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """Return a function that puts programs of the test, and nothing else of a database, on the path."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("cat", "grep", "mv", "sleep"):
        (folder / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setattr(module, "PATH", str(folder))
    monkeypatch.setattr(module, "PROCESSES", tmp_path / "proc")
    (tmp_path / "proc").mkdir()

    def put(scripts: dict[str, str]) -> None:
        for name, script in scripts.items():
            (folder / name).write_text(f"#!/bin/sh\n{script}\n")
            (folder / name).chmod(0o755)

    return put


def databases(module: ModuleType, **more: Any) -> Any:  # noqa: ANN401 - the class under test
    params = {"postgresql": True, "mariadb": True, "mariadb_login_file": "", "left_out": [], "timeout": 20}
    return module.Databases(params | more)


def maria(name: str) -> dict[str, Any]:
    return {"engine": "mariadb", "cluster": "", "account": "", "database": name, "size_bytes": 0}


def postgres(name: str) -> dict[str, Any]:
    return {"engine": "postgresql", "cluster": "15/main", "account": "", "database": name, "size_bytes": 0}


def rows(names: list[str], figure: int = 1) -> str:
    return "".join(f"{name.encode().hex()} 10 {figure}\n" for name in names)


# Names ------------------------------------------------------------------------------------------------


def test_any_name_comes_through_as_it_is(module: ModuleType) -> None:
    assert [name for name, _, _ in module.names_of(rows(HOSTILE))] == HOSTILE


@pytest.mark.parametrize(
    "text", ["", "zz 1 1", "61 1", "61 x 1", "61 1 1 1", "ERROR 1045", "ff 1 1", "61  1"]
)
def test_a_list_that_is_not_understood_is_an_error(module: ModuleType, text: str) -> None:
    with pytest.raises(module.SavingError, match="list of databases"):
        module.names_of(text)


def test_every_name_has_a_file_of_its_own_in_the_folder(module: ModuleType) -> None:
    names = [*HOSTILE, "é" * 64, "é" * 63 + "e"]
    files = [module.file_name(make(name)) for name in names for make in (maria, postgres)]

    assert len(set(files)) == len(files)
    assert [file for file in files if "/" in file or "\n" in file or len(file) > 200] == []
    assert {Path("/d", file).parent for file in files} == {Path("/d")}


def test_a_name_is_never_an_option_or_an_address(module: ModuleType, programs: Programs) -> None:
    programs({"mariadb-dump": "exit 0"})
    for name in HOSTILE:
        assert databases(module).dump_command(maria(name))[-2:] == ["--", name]
        last = databases(module).dump_command(postgres(name))[-1]
        quoted = last.removeprefix("--dbname=dbname='").removesuffix("'")
        assert last == f"--dbname=dbname='{quoted}'"
        assert quoted.replace("\\\\", "\0").replace("\\'", "'").replace("\0", "\\") == name


def test_names_with_signs_nobody_sees_are_shown_in_other_signs(module: ModuleType) -> None:
    assert [module.shown(name).isprintable() for name in HOSTILE] == [True] * len(HOSTILE)
    assert module.about(postgres("new\nline"))["database"] == "new%0Aline"


# Finding ----------------------------------------------------------------------------------------------


def test_a_host_without_databases_has_none(module: ModuleType, programs: Programs) -> None:
    programs({})
    assert databases(module).found() == []


def test_a_cluster_that_is_down_is_an_error(module: ModuleType, programs: Programs) -> None:
    programs({"pg_lsclusters": "echo 15 main 5432 down root /d /l"})
    with pytest.raises(module.SavingError, match="15/main is down and cannot be dumped"):
        databases(module).found()
    assert databases(module, postgresql=False).found() == []


def test_a_mariadb_that_does_not_answer_is_an_error(module: ModuleType, programs: Programs) -> None:
    programs({"mariadbd": "", "mariadb": "echo 'ERROR 2002 (HY000): no socket' >&2; exit 1"})
    with pytest.raises(module.SavingError, match=r"cannot be dumped: .*ERROR 2002"):
        databases(module).found()
    assert databases(module, mariadb=False).found() == []


def run_server(tmp_path: Path, program: str, folder: str) -> None:
    """Have a process beside those that run: a server at work in its data folder."""
    process = tmp_path / "proc" / str(len(list((tmp_path / "proc").iterdir())) + 1)
    process.mkdir()
    (process / "exe").symlink_to(program)
    (process / "cwd").symlink_to(folder)


@pytest.mark.parametrize("program", ["/usr/bin/postgres", "/usr/pgsql-16/bin/postgres (deleted)"])
def test_a_postgresql_that_runs_and_would_not_be_dumped_is_an_error(
    module: ModuleType, programs: Programs, tmp_path: Path, program: str
) -> None:
    """As on the RHEL family, which has no pg_lsclusters: a backup without its databases is not ok."""
    programs({})
    run_server(tmp_path, program, "/var/lib/pgsql/data")
    with pytest.raises(module.SavingError, match=r"runs in /var/lib/pgsql/data .*_postgresql to false"):
        databases(module).found()
    assert databases(module, left_out=["/var/lib/pgsql/data"]).found() == []
    assert databases(module, postgresql=False).found() == []


def test_a_postgresql_beside_the_clusters_is_an_error_and_the_clusters_are_not(
    module: ModuleType, programs: Programs, tmp_path: Path
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to("data")
    programs({
        "pg_lsclusters": f"echo 15 main 5432 online root {tmp_path}/link /l",
        "psql": f"echo {b'layanan'.hex()} 5 1",
    })  # fmt: skip
    run_server(tmp_path, "/usr/lib/postgresql/15/bin/postgres", f"{tmp_path}/data")
    run_server(tmp_path, "/usr/bin/python3", "/srv")
    assert [one["database"] for one in databases(module).found()] == ["", "layanan"]

    run_server(tmp_path, "/usr/local/bin/postgres", "/var/lib/postgresql/data")
    with pytest.raises(module.SavingError, match="runs in /var/lib/postgresql/data and pg_lsclusters"):
        databases(module).found()


@pytest.mark.parametrize(
    ("installed", "folders"),
    [
        ({}, ["/opt/data"]),
        ({"mariadbd": ""}, ["/opt/data", "/var/lib/mysql"]),
        ({"mariadbd": ""}, ["/opt/data", "/opt/data"]),
    ],
)
def test_a_mariadb_that_runs_and_would_not_be_dumped_is_an_error(
    module: ModuleType, programs: Programs, tmp_path: Path, installed: dict[str, str], folders: list[str]
) -> None:
    programs(installed | {"mariadb": f"echo {b'layanan'.hex()} 5 0"})
    for folder in folders:
        run_server(tmp_path, "/opt/mysql/bin/mysqld", folder)
    with pytest.raises(module.SavingError, match=rf"runs in {', '.join(folders)}, .*_mariadb to false"):
        databases(module).found()
    assert len(databases(module, left_out=["/opt/data"]).found()) == len(installed)
    assert databases(module, mariadb=False).found() == []


def test_a_mariadb_where_the_rhel_family_has_it_is_seen(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its server lies outside of every usual path; a host with it and without a client is an error."""
    monkeypatch.setattr(module, "PROCESSES", tmp_path)

    def which(name: str, path: str) -> str | None:
        return f"/usr/libexec/{name}" if name == "mariadbd" and "/usr/libexec" in path.split(":") else None

    monkeypatch.setattr(module.shutil, "which", which)
    with pytest.raises(module.SavingError, match="mariadb is not on this host, which has a server"):
        databases(module).found()


def test_a_database_that_lets_nobody_connect_is_an_error_unless_left_out(
    module: ModuleType, programs: Programs
) -> None:
    listed = rows(["kunci"], 0) + rows(["layanan"])
    programs({"pg_lsclusters": "echo 15 main 5432 online root /d /l", "psql": f"cat <<'END'\n{listed}END"})
    with pytest.raises(module.SavingError, match="kunci of 15/main lets nobody connect"):
        databases(module).found()

    found = databases(module, left_out=["kunci"]).found()

    assert [one["database"] for one in found] == ["", "layanan"]


def test_a_cluster_without_its_usual_database_is_asked_by_another(
    module: ModuleType, programs: Programs
) -> None:
    missing = "echo 'database \"postgres\" does not exist' >&2; exit 2"
    refuse = f'case "$*" in *dbname=postgres*) {missing};; esac'
    programs({
        "pg_lsclusters": "echo 15 main 5432 online root /d /l",
        "psql": f"{refuse}\necho {b'layanan'.hex()} 5 1",
    })  # fmt: skip
    assert [one["database"] for one in databases(module).found()] == ["", "layanan"]


# Dumping ----------------------------------------------------------------------------------------------


def test_a_whole_dump_is_kept_for_root_only(module: ModuleType, programs: Programs, tmp_path: Path) -> None:
    programs({"mariadb-dump": f"echo isi; echo '{END}'"})

    (dump,) = databases(module).dump_all([maria("layanan")], tmp_path / "databases")

    file = Path(dump["path"])
    assert (dump["bytes"], dump["database"]) == (file.stat().st_size, "layanan")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (f"echo isi; echo '{END}'; echo 'Error 1356: broken view' >&2; exit 2", "ended with 2: Error 1356"),
        ("echo isi", "has no end: it is cut off"),
        (f"echo '{END}'; echo a; echo b; echo c", "has no end: it is cut off"),
        ("exit 0", "has no end: it is cut off"),
        ("kill -9 $$", "ended with -9"),
    ],
)
def test_a_dump_that_fails_or_is_cut_off_leaves_no_dump_at_all(
    module: ModuleType, programs: Programs, tmp_path: Path, script: str, said: str
) -> None:
    programs({"mariadb-dump": f"case \"$*\" in *baik) echo '{END}'; exit 0;; esac\n{script}"})

    with pytest.raises(module.SavingError, match=said):
        databases(module).dump_all([maria("baik"), maria("buruk")], tmp_path / "databases")

    assert not (tmp_path / "databases").exists()


def test_a_dump_in_postgresql_s_own_form_is_read_back_to_its_end(
    module: ModuleType, programs: Programs, tmp_path: Path
) -> None:
    read = "grep -q whole || { echo 'could not read from input file: end of file' >&2; exit 1; }"
    programs({"pg_dump": "echo $WORD cut", "pg_restore": read})
    with pytest.raises(module.SavingError, match="postgresql 15/main surat cannot be read back"):
        databases(module).dump_all([postgres("surat")], tmp_path / "databases")

    programs({"pg_dump": "echo whole"})
    assert len(databases(module).dump_all([postgres("surat")], tmp_path / "databases")) == 1


def test_the_roles_of_a_cluster_end_as_their_program_ends_them(
    module: ModuleType, programs: Programs, tmp_path: Path
) -> None:
    programs(
        {"pg_dumpall": f"echo create role x; echo '{module.GLOBALS_END}'; echo; echo '\\\\unrestrict x'"}
    )
    (dump,) = databases(module).dump_all([postgres("")], tmp_path / "databases")
    assert dump["database"] == ""

    programs({"pg_dumpall": "echo create role x"})
    with pytest.raises(module.SavingError, match="15/main roles has no end"):
        databases(module).dump_all([postgres("")], tmp_path / "databases")


def test_a_dump_that_takes_too_long_is_ended_with_all_it_started(
    module: ModuleType, programs: Programs, tmp_path: Path
) -> None:
    started = tmp_path / "child"
    programs({"mariadb-dump": f"sleep 600 & echo $! > {started}.new; mv {started}.new {started}; wait"})
    with pytest.raises(module.SavingError, match="mariadb-dump was not done in time"):
        databases(module, timeout=0).dump_all([maria("layanan")], tmp_path / "databases")

    child = Path("/proc", started.read_text().strip(), "stat")
    for _ in range(500):
        if not child.exists() or child.read_text().split()[2] == "Z":
            break
        time.sleep(0.01)
    else:
        pytest.fail("what the dump had started is still alive")
    assert not (tmp_path / "databases").exists()


def test_nothing_is_begun_that_could_fill_the_disk(
    module: ModuleType, programs: Programs, tmp_path: Path
) -> None:
    programs({"mariadb-dump": f"echo '{END}'"})
    room = os.statvfs(tmp_path)
    large = maria("besar") | {"size_bytes": room.f_blocks * room.f_frsize + 1}

    with pytest.raises(module.SavingError, match="could be needed to dump the databases: make room"):
        databases(module).dump_all([large], tmp_path / "databases")

    assert not (tmp_path / "databases").exists()


def test_the_login_of_mariadb_is_named_first_and_never_given(module: ModuleType, programs: Programs) -> None:
    programs({"mariadb-dump": ""})
    command = databases(module, mariadb_login_file="/root/login.cnf").dump_command(maria("x"))
    assert command[1] == "--defaults-extra-file=/root/login.cnf"
    assert json.dumps(command).count("login") == 1
