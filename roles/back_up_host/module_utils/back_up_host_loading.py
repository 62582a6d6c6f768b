"""Loads dumps that were restored out of the backup into a server of their own, and looks what is in it.

The server is made for it, reached by a socket only, and taken away afterwards: the host's own servers and
their data are never touched, whatever stands in a dump. Events of a dump do not run.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible.module_utils.back_up_host_databases import Databases, SavingError, program

SCRATCH = "rawat_scratch"
# A fresh server's own files, and what a load needs beside the data.
PLACE = "/var/tmp"  # noqa: S108 - a folder of its own is made there, and /tmp may be memory
ROOM = 512 * 1024 * 1024
GROWTH = 4
PATIENCE_SECONDS = 60
POSTGRESQL_TABLES = (
    "select count(*) from pg_class c join pg_namespace n on n.oid = c.relnamespace"
    " where c.relkind in ('r', 'p') and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')"
)
MARIADB_TABLES = (
    "select count(*) from information_schema.tables where table_type = 'BASE TABLE'"
    " and table_schema not in ('mysql', 'sys', 'information_schema', 'performance_schema')"
)
OWN = {"mysql", "postgres", "template1"}


def chosen(dumps: list[dict[str, Any]], params: dict[str, Any]) -> list[dict[str, Any]]:
    """Choose dumps to load: per server so many, by chance, but the same ones for the same tag and host."""
    seed = f"{params['tag']}\n{params['host']}\n"
    fitting = [
        dump
        for dump in dumps
        if dump["database"] and dump["database"] not in OWN and dump["bytes"] <= params["load_bytes"]
    ]
    fitting.sort(key=lambda dump: hashlib.sha256((seed + dump["path"]).encode()).hexdigest())
    taken: dict[str, list[dict[str, Any]]] = {}
    for dump in fitting:
        of_server = taken.setdefault(f"{dump['engine']} {dump['cluster']}", [])
        if len(of_server) < params["load_databases"]:
            of_server.append(dump)
    return [dump for of_server in taken.values() for dump in of_server]


def load_some(folder: Path, params: dict[str, Any]) -> list[dict[str, Any]]:
    """Load some of the dumps that were restored below a folder; return what was found in each.

    Raises:
        SavingError: a dump does not load, or a server for it cannot be started.
    """
    dumps = params["about"].get("databases") or []
    server = Databases({"timeout": params["timeout"]})
    loaded = []
    for dump in chosen(dumps, params):
        begun = time.monotonic()
        require_room(dump["bytes"])
        file = folder / dump["path"].lstrip("/")
        load = load_postgresql if dump["engine"] == "postgresql" else load_mariadb
        globals_file = next(
            (
                folder / other["path"].lstrip("/")
                for other in dumps
                if not other["database"] and other["cluster"] == dump["cluster"]
            ),
            None,
        )
        try:
            tables = load(server, dump, file, globals_file)
        except SavingError as error:
            name = f"{dump['engine']} {dump['cluster']} {dump['database']}"
            raise SavingError(f"the dump of {name} does not load: {error}") from error
        told = {key: dump[key] for key in ("engine", "cluster", "database")}
        loaded.append({**told, "tables": tables, "seconds": round(time.monotonic() - begun, 2)})
    return loaded


def require_room(size: int) -> None:
    """Refuse a load that could fill the disk."""
    room = os.statvfs(PLACE)
    free = room.f_bavail * room.f_frsize
    if free < ROOM + GROWTH * size:
        raise SavingError(f"{PLACE} has {free} bytes free and {ROOM + GROWTH * size} could be needed")


@contextmanager
def private_folder(account: str) -> Iterator[Path]:
    """Give a folder that only an account of the host can use, and take it away again."""
    entry = pwd.getpwnam(account)
    folder = Path(tempfile.mkdtemp(prefix="rawat-load-", dir=PLACE))
    os.chown(folder, entry.pw_uid, entry.pw_gid)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def load_postgresql(server: Databases, dump: dict[str, Any], file: Path, globals_file: Path | None) -> int:
    """Load a dump into a new cluster of the same version; return how many tables it then has."""
    owner = dict(server.clusters())[dump["cluster"]]
    programs = Path("/usr/lib/postgresql") / dump["cluster"].partition("/")[0] / "bin"
    with private_folder(owner) as folder:
        data, control = folder / "data", [str(programs / "pg_ctl"), "--pgdata", str(folder / "data")]
        server.run([str(programs / "initdb"), "--pgdata", str(data), "--auth=trust", "--no-sync"], owner)
        options = f"-k {folder} -c listen_addresses= -c fsync=off"
        server.run([*control, "--wait", f"--log={folder}/log", f"--options={options}", "start"], owner)
        reach = [f"--host={folder}", "--no-password"]
        try:
            psql = [str(programs / "psql"), *reach, "-XAtq"]
            if globals_file:
                # Roles that are there already are complained of, and are no fault.
                with globals_file.open("rb") as content:
                    server.run([*psql, "--dbname=postgres"], owner, source=content.fileno())
            server.run([str(programs / "createdb"), *reach, "--template=template0", SCRATCH], owner)
            with file.open("rb") as content:
                restore = [str(programs / "pg_restore"), *reach, "--exit-on-error", f"--dbname={SCRATCH}"]
                server.run(restore, owner, source=content.fileno())
            counted = server.run([*psql, f"--dbname={SCRATCH}", "--command", POSTGRESQL_TABLES], owner)
        finally:
            server.run([*control, "--mode=immediate", "stop"], owner)
    return int(counted)


def load_mariadb(server: Databases, _dump: dict[str, Any], file: Path, _globals: Path | None) -> int:
    """Load a dump into a new server; return how many tables it then has."""
    with private_folder("mysql") as folder:
        data, socket = folder / "data", folder / "socket"
        make = [program("mariadb-install-db", "mysql_install_db"), "--no-defaults", f"--datadir={data}"]
        server.run([*make, "--auth-root-authentication-method=normal", "--skip-test-db"], "mysql")
        entry = pwd.getpwnam("mysql")
        with (folder / "log").open("wb") as log, subprocess.Popen(
            [program("mariadbd", "mysqld"), "--no-defaults", f"--datadir={data}", f"--socket={socket}",
             f"--pid-file={folder}/pid", "--skip-networking", "--event-scheduler=DISABLED"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/",
            user=entry.pw_uid, group=entry.pw_gid, extra_groups=[],
        ) as started:  # fmt: skip
            try:
                client = [program("mariadb", "mysql"), "--no-defaults", f"--socket={socket}", "--user=root"]
                wait_for(server, client, started)
                with file.open("rb") as content:
                    server.run(client, "mysql", source=content.fileno())
                query = ["--batch", "--skip-column-names", f"--execute={MARIADB_TABLES}"]
                counted = server.run([*client, *query], "mysql")
            finally:
                started.kill()
    return int(counted)


def wait_for(server: Databases, client: list[str], started: subprocess.Popen[bytes]) -> None:
    """Wait until a server that was just started answers."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            server.run([*client, "--execute=select 1"], "mysql")
        except SavingError:
            if started.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.2)
        else:
            return
