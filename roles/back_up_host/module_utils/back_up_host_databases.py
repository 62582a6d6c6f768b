"""Dumps of the databases that run on a host: each database a file of its own, whole or not there at all.

Rules kept here: a dump whose program failed, was cut off or does not end as its program ends it is an error
and leaves no file; names of databases are data, never options, addresses or paths; a program that takes too
long is ended with all it started; nothing is begun that could fill the disk; a server that runs and would not
be dumped is an error, unless it is left out by name.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import signal
import subprocess
import time
import urllib.parse
from pathlib import Path
from typing import Any

from ansible.module_utils.back_up_host_restic import digest_of

# The last one is where the RHEL family has the server of MariaDB.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/libexec"
PROCESSES = Path("/proc")
TAIL = 4096
LONGEST_NAME = 150
GLOBALS_END = "-- PostgreSQL database cluster dump complete"
MARIADB_END = "-- Dump completed"

# Names as hexadecimal text, so that no name can be taken for a line or a column of the answer.
POSTGRESQL_DATABASES = (
    "select encode(convert_to(datname, 'UTF8'), 'hex') || ' ' || pg_database_size(oid) || ' '"
    " || datallowconn::int from pg_database where datname <> 'template0' order by datname"
)
MARIADB_DATABASES = (
    "select concat(hex(s.schema_name), ' ', coalesce(sum(t.data_length + t.index_length), 0), ' ',"
    " coalesce(sum(t.table_type = 'BASE TABLE' and t.engine <> 'InnoDB' and t.table_schema <> 'mysql'), 0))"
    " from information_schema.schemata s"
    " left join information_schema.tables t on t.table_schema = s.schema_name"
    " where s.schema_name not in ('information_schema', 'performance_schema', 'sys')"
    " group by s.schema_name order by s.schema_name"
)


class SavingError(Exception):
    """Something that has to be in the backup could not be saved."""


class Databases:
    """The databases of one host, found and dumped within one deadline.

    ``params``: `postgresql`, `mariadb` (whether they are dumped), `mariadb_login_file` (an option file on the
    host, or empty), `left_out` (names of databases), `timeout` (seconds for all dumps).
    """

    def __init__(self, params: dict[str, Any]) -> None:
        self.params = params
        self.deadline = time.monotonic() + params["timeout"]

    def found(self) -> list[dict[str, Any]]:
        """Return what has to be dumped: engine, cluster, database, size_bytes and how to reach it."""
        found = self.of_postgresql() if self.params["postgresql"] else []
        found += self.of_mariadb() if self.params["mariadb"] else []
        return [one for one in found if one["database"] not in self.params["left_out"]]

    def of_postgresql(self) -> list[dict[str, Any]]:
        """Return the globals and the databases of every cluster; one that is down is an error."""
        found: list[dict[str, Any]] = []
        clusters = self.clusters()
        known = {str(Path(row[5]).resolve()) for row in self.cluster_rows()}
        if others := sorted({*running("postgres")} - known - set(self.params["left_out"])):
            raise SavingError(
                f"PostgreSQL runs in {shown(others[0])} and pg_lsclusters does not name it, so it is not "
                "dumped: have it dumped into one of back_up_host_paths and name its folder in "
                "back_up_host_databases_left_out, or set back_up_host_postgresql to false"
            )
        for cluster, owner in clusters:
            base = {"engine": "postgresql", "cluster": cluster, "account": owner}
            found.append(base | {"database": "", "size_bytes": 0})
            for name, size, may_connect in names_of(self.ask_postgresql(cluster, owner)):
                if not may_connect and name not in self.params["left_out"]:
                    raise SavingError(
                        f"PostgreSQL database {shown(name)} of {cluster} lets nobody connect and cannot be "
                        "dumped: name it in back_up_host_databases_left_out"
                    )
                found.append(base | {"database": name, "size_bytes": size})
        return found

    def clusters(self) -> list[tuple[str, str]]:
        """Return name and owner of the PostgreSQL clusters of the host."""
        rows = self.cluster_rows()
        down = [f"{row[0]}/{row[1]}" for row in rows if not row[3].startswith("online")]
        if down:
            raise SavingError(
                f"PostgreSQL cluster {down[0]} is down and cannot be dumped: start it, drop it, "
                "or set back_up_host_postgresql to false"
            )
        return [(f"{row[0]}/{row[1]}", row[4]) for row in rows]

    def cluster_rows(self) -> list[list[str]]:
        """Return version, name, port, status, owner, data folder and log of each of Debian's clusters."""
        if not shutil.which("pg_lsclusters", path=PATH):
            return []
        return [line.split() for line in self.run(["pg_lsclusters", "--no-header"]).splitlines()]

    def ask_postgresql(self, cluster: str, owner: str) -> str:
        """Return the rows of its databases; the database everybody connects to may have been dropped."""
        argv = ["psql", "--cluster", cluster, "-XAtq", "--no-password", "--set=ON_ERROR_STOP=1"]
        argv += ["--command", POSTGRESQL_DATABASES]
        try:
            return self.run([*argv, "--dbname=postgres"], owner)
        except SavingError as error:
            if 'database "postgres" does not exist' not in str(error):
                raise
            return self.run([*argv, "--dbname=template1"], owner)

    def of_mariadb(self) -> list[dict[str, Any]]:
        """Return the databases of the MariaDB (or MySQL) server; one that does not let us in is an error."""
        is_here = bool(shutil.which("mariadbd", path=PATH) or shutil.which("mysqld", path=PATH))
        # One process each; that of a container works in a folder of the same name.
        servers = [one for one in running("mariadbd", "mysqld") if one not in self.params["left_out"]]
        if len(servers) > is_here:
            raise SavingError(
                f"MariaDB or MySQL runs in {', '.join(map(shown, servers))}, and only the server of the "
                "host's own packages is dumped: have others dumped into one of back_up_host_paths and name "
                "their folder in back_up_host_databases_left_out, or set back_up_host_mariadb to false"
            )
        if not is_here:
            return []
        client = program("mariadb", "mysql")
        argv = [client, *self.login(), "--batch", "--skip-column-names", "--raw"]
        try:
            rows = names_of(self.run([*argv, f"--execute={MARIADB_DATABASES}"]))
        except SavingError as error:
            raise SavingError(
                f"MariaDB is on this host and cannot be dumped: start it, let root in, "
                f"or set back_up_host_mariadb to false ({error})"
            ) from error
        base = {"engine": "mariadb", "cluster": "", "account": ""}
        return [
            base | {"database": name, "size_bytes": size, "not_transactional": tables}
            for name, size, tables in rows
        ]

    def login(self) -> list[str]:
        """Return the option that names the file with the login; it has to stand first."""
        file = self.params["mariadb_login_file"]
        return [f"--defaults-extra-file={file}"] if file else []

    def dump_all(self, found: list[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
        """Dump into a fresh folder; when one dump fails, none is left there."""
        if folder.exists():
            shutil.rmtree(folder)
        if not found:
            return []
        require_room(folder.parent, sum(one["size_bytes"] for one in found), "dump the databases")
        folder.mkdir(mode=0o700)
        try:
            return [self.dump(one, folder / file_name(one)) for one in found]
        except BaseException:
            shutil.rmtree(folder)
            raise

    def dump(self, one: dict[str, Any], path: Path) -> dict[str, Any]:
        """Dump one database into a file and read that back to its end."""
        begun = time.monotonic()
        target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            self.run(self.dump_command(one), one["account"], output=target)
            os.fsync(target)
        finally:
            os.close(target)
        self.require_whole(one, path)
        return {
            **about(one),
            "path": str(path),
            "bytes": path.stat().st_size,
            "sha256": digest_of(path),
            "seconds": round(time.monotonic() - begun, 2),
        }

    def dump_command(self, one: dict[str, Any]) -> list[str]:
        """Return the command that writes a dump to its output."""
        name = one["database"]
        if one["engine"] == "mariadb":
            # A consistent look without locks; options of the host's own files must not take the end away.
            return [program("mariadb-dump", "mysqldump"), *self.login(), "--single-transaction", "--quick",
                    "--routines", "--events", "--triggers", "--hex-blob", "--comments",
                    "--databases", "--", name]  # fmt: skip
        cluster = ["--cluster", one["cluster"], "--no-password"]
        if not name:
            return ["pg_dumpall", *cluster, "--globals-only"]
        # A bare name with `=` in it would be taken for an address.
        quoted = name.replace("\\", "\\\\").replace("'", "\\'")
        return ["pg_dump", *cluster, "--format=custom", f"--dbname=dbname='{quoted}'"]

    def require_whole(self, one: dict[str, Any], path: Path) -> None:
        """Make sure that a dump was not cut off."""
        what = f"the dump of {one['engine']} {one['cluster']} {shown(one['database']) or 'roles'}"
        if one["engine"] == "postgresql" and one["database"]:
            # `--list` reads the table of contents only, which stands first: this reads every piece of data.
            with path.open("rb") as content, Path(os.devnull).open("wb") as nowhere:
                command = ["pg_restore", "--cluster", one["cluster"], "--file=-"]
                try:
                    self.run(command, one["account"], output=nowhere.fileno(), source=content.fileno())
                except SavingError as error:
                    raise SavingError(
                        f"{what} cannot be read back: it is cut off or damaged ({error})"
                    ) from error
            return
        if not ends_whole(path, MARIADB_END if one["engine"] == "mariadb" else GLOBALS_END):
            raise SavingError(f"{what} has no end: it is cut off")

    def run(
        self,
        argv: list[str],
        account: str = "",
        *,
        output: int = subprocess.PIPE,
        source: int = subprocess.DEVNULL,
    ) -> str:
        """Run a command that has to succeed, as an account of the host (root when empty).

        Its output is returned, or goes to the descriptor ``output``.
        """
        try:
            entry = pwd.getpwnam(account) if account else None
            process = subprocess.Popen(
                argv,
                stdin=source,
                stdout=output,
                stderr=subprocess.PIPE,
                cwd="/",
                start_new_session=True,
                env={"PATH": PATH, "LC_ALL": "C.UTF-8", "HOME": entry.pw_dir if entry else "/root"},
                user=entry.pw_uid if entry else None,
                group=entry.pw_gid if entry else None,
                extra_groups=[] if entry else None,
            )
        except (OSError, KeyError) as error:
            raise SavingError(f"{argv[0]}: {error}") from error
        with process:
            try:
                told, complaint = process.communicate(timeout=max(1.0, self.deadline - time.monotonic()))
            except subprocess.TimeoutExpired as error:
                raise SavingError(f"{argv[0]} was not done in time") from error
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
        if process.returncode:
            said = " ".join(complaint.decode(errors="replace").split())[-800:]
            raise SavingError(f"{argv[0]} ended with {process.returncode}: {said}")
        return (told or b"").decode(errors="replace")


def running(*programs: str) -> list[str]:
    """Return the data folder of each process of these programs: servers work in theirs."""
    folders = []
    for process in PROCESSES.iterdir():
        try:
            # A program that was updated since is named with " (deleted)".
            name = Path((process / "exe").readlink()).name.partition(" ")[0]
            if name in programs:
                folders.append(str((process / "cwd").readlink()))
        except OSError:
            continue  # no process, or one that has ended
    return sorted(folders)


def names_of(rows: str) -> list[tuple[str, int, int]]:
    """Return name, size and a third figure of each database from the rows that a server printed."""
    found = []
    for row in rows.splitlines():
        try:
            name, size, figure = row.split(" ")
            found.append((bytes.fromhex(name).decode(), int(size), int(figure)))
        except ValueError as error:
            raise SavingError(f"the list of databases is not understood: {row[:200]!r}") from error
    if not found:
        raise SavingError("the list of databases is empty")
    return found


def about(one: dict[str, Any]) -> dict[str, Any]:
    """Return what evidence says about a database."""
    told = {name: one[name] for name in ("engine", "cluster", "size_bytes")}
    told["database"] = shown(one["database"])
    return told | ({"not_transactional": one["not_transactional"]} if "not_transactional" in one else {})


def shown(name: str) -> str:
    """Return a name without signs that cannot be seen."""
    return name if name.isprintable() else urllib.parse.quote(name, safe=" ")


def file_name(one: dict[str, Any]) -> str:
    """Return the name of a dump's file, which says which database is in it."""
    if one["engine"] == "postgresql" and not one["database"]:
        return f"postgresql-{one['cluster'].replace('/', '-')}.globals.sql"
    name = urllib.parse.quote(one["database"], safe="")
    if len(name) > LONGEST_NAME:
        name = f"{name[:LONGEST_NAME]}-{hashlib.sha256(one['database'].encode()).hexdigest()[:12]}"
    if one["engine"] == "mariadb":
        return f"mariadb-{name}.sql"
    return f"postgresql-{one['cluster'].replace('/', '-')}-{name}.dump"


def ends_whole(path: Path, end: str) -> bool:
    """Tell whether a dump in text ends as its program ends it; a line or two may follow."""
    with path.open("rb") as content:
        content.seek(max(0, path.stat().st_size - TAIL))
        lines = [line for line in content.read().decode(errors="replace").splitlines() if line.strip()]
    return any(line.startswith(end) for line in lines[-3:])


def program(*names: str) -> str:
    """Return the first of these programs that the host has."""
    for name in names:
        if shutil.which(name, path=PATH):
            return name
    raise SavingError(f"{names[0]} is not on this host, which has a server of that kind")


def require_room(folder: Path, needed: int, what: str) -> None:
    """Refuse to begin what could fill the disk."""
    room = os.statvfs(folder)
    free = room.f_bavail * room.f_frsize
    if free < needed:
        raise SavingError(
            f"{folder} has {free} bytes free and {needed} could be needed to {what}: make room, "
            "or set back_up_host_state_directory to a larger disk"
        )
