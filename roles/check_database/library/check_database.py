#!/usr/bin/python3
"""Ansible module: asks a database server how it is, by the client program that came with it. Changes nothing.

Runs on the computer that hosts the database (over its local socket, where no password is needed) or on any
other that has the client. Rules kept here: a password is in a file of this process's own (0600, gone at the
end) and never in arguments or environment; every session is read-only and limited in time; what the server
says is data of one JSON text or of escaped columns, so that no name of a table can become an answer.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import pwd
import re
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.peers import printable

DOCUMENTATION = """
module: check_database
short_description: Ask a database server how it is
options:
  engine: {type: str, required: true, choices: [postgresql, mariadb], description: Which server it is}
  address: {type: str, default: "", description: Address of the server, its local socket when empty}
  port: {type: int, default: 0, description: Port of the server, the usual one when 0}
  user: {type: str, default: "", description: User of the database, the account's own when empty}
  password: {type: str, default: "", description: Password of that user}
  account: {type: str, default: "", description: Account that runs the client, when run by root}
  database: {type: str, default: "", description: Database that is connected to}
  dumps: {type: list, elements: str, default: [], description: Patterns of the dumps' files}
  timeout: {type: int, default: 20, description: Seconds for all questions together}
author: Rawat
"""
EXAMPLES = """
- name: Ask the database server
  check_database: {engine: postgresql, account: postgres, dumps: ["/var/backups/*.sql"]}
"""
RETURN = """
facts: {type: dict, returned: always, description: What was measured}
"""

_MOST = 200
_MOST_BYTES = 2_000_000
_TAIL = 400
_RECORD = "verified-snapshot.json"
"""What the role that backs up leaves on the host once a snapshot, with the dumps in it, is proven."""
_ENDS = ("database dump complete", "dump completed")
"""What pg_dump and mariadb-dump write as the last line of a text dump that was not cut off."""
_LOGIN = (
    "password authentication failed",
    "no password supplied",
    "authentication failed for user",
    "no pg_hba.conf entry",
    'role "',
    "ERROR 1045",
    "ERROR 1044",
    "ERROR 1698",
    "permission denied for",
    "ERROR 1227",
)
_POSTGRESQL = """
select json_build_object(
  'version', current_setting('server_version'),
  'seconds_up', extract(epoch from now() - pg_postmaster_start_time())::bigint,
  'is_replica', pg_is_in_recovery(),
  'connections', (select count(*) from pg_stat_activity where backend_type = 'client backend'),
  'most_connections', current_setting('max_connections')::int,
  'databases', (select json_agg(d) from (
      select datname as name, pg_database_size(oid) as bytes from pg_database
      where has_database_privilege(oid, 'connect') order by 2 desc limit 200) d),
  'replicas', (select coalesce(json_agg(r), '[]') from (
      select application_name as name, state, coalesce(pg_wal_lsn_diff(
          case when pg_is_in_recovery() then pg_last_wal_receive_lsn() else pg_current_wal_lsn() end,
          replay_lsn), 0)::bigint as lag_bytes
      from pg_stat_replication limit 200) r),
  'source', case when pg_is_in_recovery() then (select json_build_object(
      'is_running', coalesce((select status = 'streaming' from pg_stat_wal_receiver limit 1), false),
      'lag_seconds', case when pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() then 0
          else extract(epoch from now() - pg_last_xact_replay_timestamp()) end,
      'problem', '')) end
)
"""
_MARIADB = """
select json_object(
  'version', version(),
  'seconds_up', (select cast(variable_value as integer) from information_schema.global_status
      where variable_name = 'UPTIME'),
  'connections', (select cast(variable_value as integer) from information_schema.global_status
      where variable_name = 'THREADS_CONNECTED'),
  'most_connections', @@max_connections,
  'replicas', (select count(*) from information_schema.processlist where command like 'Binlog Dump%'));
select json_object('name', table_schema, 'bytes', cast(sum(data_length + index_length) as integer))
  from information_schema.tables group by table_schema
  order by sum(data_length + index_length) desc limit 200;
"""
_REPLICA = "show all slaves status"


class ClientError(Exception):
    """The client did not answer; carries an outcome that the judge knows, and what was said."""

    def __init__(self, outcome: str, said: str) -> None:
        super().__init__(said)
        self.outcome = outcome


def measure(wanted: dict[str, Any], private: Path) -> dict[str, Any]:
    """Return the facts of a database server, asked with what lies in a private folder."""
    facts: dict[str, Any] = {
        "engine": wanted["engine"],
        "now": int(time.time()),
        "dumps": find_dumps(wanted["dumps"], wanted["engine"]),
    }
    ask = {"postgresql": ask_postgresql, "mariadb": ask_mariadb}[wanted["engine"]]
    try:
        return {**facts, "outcome": "answered", **ask(wanted, private)}
    except ClientError as error:
        return {**facts, "outcome": error.outcome, "error": printable(error)}


def ask_postgresql(wanted: dict[str, Any], private: Path) -> dict[str, Any]:
    """Ask by psql."""
    command = ["psql", "--no-psqlrc", "--no-password", "--quiet", "--no-align", "--tuples-only"]
    command += ["--set=ON_ERROR_STOP=1", f"--dbname={wanted['database'] or 'postgres'}"]
    for option, key in (("host", "address"), ("port", "port"), ("username", "user")):
        command += [f"--{option}={wanted[key]}"] if wanted[key] else []
    milliseconds = wanted["timeout"] * 1000
    limits = f"-c statement_timeout={milliseconds} -c lock_timeout={milliseconds}"
    environment = {
        "PGOPTIONS": f"{limits} -c default_transaction_read_only=on",
        "PGCONNECT_TIMEOUT": str(max(2, wanted["timeout"] // 2)),
        # A file that is not there, where no password is given: none of the account's own is used.
        "PGPASSFILE": str(private / "pgpass"),
        "PGAPPNAME": "rawat-check",
    }
    if wanted["password"]:
        escaped = re.sub(r"([:\\])", r"\\\1", wanted["password"])
        write_private(private / "pgpass", f"*:*:*:*:{escaped}\n", wanted)
    told = parsed(run(wanted, command, _POSTGRESQL, environment))
    return {
        "version": printable(told["version"]),
        "seconds_up": int(told["seconds_up"]),
        "connections": int(told["connections"]),
        "most_connections": int(told["most_connections"]),
        "databases": databases(told["databases"] or []),
        "is_replica": bool(told["is_replica"]),
        "replicas": [
            {"name": printable(r["name"]), "state": printable(r["state"]), "lag_bytes": int(r["lag_bytes"])}
            for r in told["replicas"][:_MOST]
        ],
        "source": told["source"],
    }


def ask_mariadb(wanted: dict[str, Any], private: Path) -> dict[str, Any]:
    """Ask by mariadb (or mysql, as older ones call it)."""
    quoted = wanted["password"].replace("\\", "\\\\").replace('"', '\\"')
    login = [f'user="{wanted["user"]}"'] if wanted["user"] else []
    login += [f'password="{quoted}"'] if wanted["password"] else []
    write_private(private / "my.cnf", "\n".join(["[client]", *login]) + "\n", wanted)
    seconds = wanted["timeout"]
    command = [
        "mariadb",
        f"--defaults-file={private / 'my.cnf'}",
        "--batch",
        f"--connect-timeout={max(2, seconds // 2)}",
    ]
    command += [f"--init-command=set session tx_read_only = 1, session max_statement_time = {seconds}"]
    command += [f"--host={wanted['address']}"] if wanted["address"] else []
    command += [f"--port={wanted['port']}"] if wanted["port"] else []
    first, *sizes = run(wanted, [*command, "--skip-column-names", "--raw"], _MARIADB, {}).splitlines()
    told = parsed(first)
    source = replica_of(run(wanted, command, _REPLICA, {}))
    return {
        "version": printable(told["version"]),
        "seconds_up": int(told["seconds_up"]),
        "connections": int(told["connections"]),
        "most_connections": int(told["most_connections"]),
        "databases": databases([parsed(line) for line in sizes if line]),
        "is_replica": source is not None,
        "replicas": [{"name": "", "state": "streaming", "lag_bytes": None}]
        * min(int(told["replicas"]), _MOST),
        "source": source,
    }


def replica_of(table: str) -> dict[str, Any] | None:
    """Return how replication goes, from the columns of `show all slaves status`; None when there is none."""
    lines = table.splitlines()
    if len(lines) < 2:  # noqa: PLR2004 - a line of names and one for each source
        return None
    sources = [dict(zip(lines[0].split("\t"), line.split("\t"))) for line in lines[1:]]  # noqa: B905 - Python 3.9 knows no strict
    running = [s.get("Slave_IO_Running") == "Yes" and s.get("Slave_SQL_Running") == "Yes" for s in sources]
    lags = [int(s["Seconds_Behind_Master"]) for s in sources if s.get("Seconds_Behind_Master", "").isdigit()]
    problems = [s.get("Last_SQL_Error") or s.get("Last_IO_Error") or "" for s in sources]
    return {
        "is_running": all(running),
        "lag_seconds": max(lags) if len(lags) == len(sources) else None,
        "problem": printable(" ".join(problem for problem in problems if problem)),
    }


def databases(said: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return name and size of each database."""
    return [{"name": printable(one["name"]), "bytes": int(one["bytes"] or 0)} for one in said[:_MOST]]


def parsed(text: str) -> dict[str, Any]:
    """Return the JSON object that the server made."""
    try:
        told = json.loads(text)
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise ClientError("not understood", text[:_TAIL])
    return told


def run(wanted: dict[str, Any], command: list[str], question: str, environment: dict[str, str]) -> str:
    """Return what the client printed.

    Raises ClientError with the outcome `timeout`, `refused`, `starting`, `login` (the server answered, and
    does not let us in) or `not understood` (the question itself failed).
    """
    try:
        done = subprocess.run(
            command,
            input=question.encode(),
            capture_output=True,
            timeout=wanted["timeout"],
            check=False,
            cwd="/",
            env={
                "PATH": "/usr/local/bin:/usr/bin:/bin",
                "LC_ALL": "C.UTF-8",
                "LC_MESSAGES": "C",
                **environment,
            },
            user=wanted["account"] or None,
            group=pwd.getpwnam(wanted["account"]).pw_gid if wanted["account"] else None,
            extra_groups=[] if wanted["account"] else None,
        )
    except subprocess.TimeoutExpired as error:
        raise ClientError("timeout", f"no answer within {wanted['timeout']} s") from error
    said = done.stderr.decode("utf-8", "replace")
    if done.returncode == 0 and len(done.stdout) <= _MOST_BYTES:
        return done.stdout.decode("utf-8", "replace").strip()
    raise ClientError(outcome_of(said), said[-_TAIL:])


def outcome_of(said: str) -> str:
    """Return in a word what a client's complaint comes to."""
    if any(mark in said for mark in _LOGIN):
        return "login"
    if any(
        mark in said for mark in ("timeout expired", "(110)", "timed out", "statement timeout", "ERROR 1969")
    ):
        return "timeout"
    marks = ("could not connect", "connection to server", "Connection refused", "ERROR 2002", "ERROR 2003")
    if any(mark in said for mark in marks):
        return "starting" if "starting up" in said or "shutting down" in said else "refused"
    return "not understood"


def find_dumps(patterns: list[str], engine: str) -> dict[str, Any] | None:
    """Return the newest dump and the one before it; None when nobody said where dumps are."""
    if not patterns:
        return None
    found = []
    for pattern in patterns:
        for name in glob.iglob(pattern):  # noqa: PTH207 - a pattern with a path in it
            with contextlib.suppress(OSError):
                about = os.lstat(name)
                if not stat.S_ISREG(about.st_mode):
                    continue
                if Path(name).name == _RECORD:
                    found += recorded(Path(name), engine)
                else:
                    found.append((about.st_mtime, name, about.st_size))
    found.sort(reverse=True)
    if not found:
        return {"count": 0, "newest": None, "previous_bytes": None}
    changed, name, size = found[0]
    newest = {
        "path": printable(name),
        "age_seconds": max(0, int(time.time() - changed)),
        "bytes": size,
        # What a backup recorded was read back to its end, and restored, before it was recorded.
        "is_whole": True if Path(name).name == _RECORD else is_whole(Path(name), size),
    }
    return {"count": len(found), "newest": newest, "previous_bytes": found[1][2] if found[1:] else None}


def recorded(path: Path, engine: str) -> list[tuple[float, str, int]]:
    """Return the dumps that a proven backup took along and recorded: the last, and the one before."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        dumps = [d for d in record["evidence"].get("databases", []) if d["engine"] == engine]
        before = record.get("dumps_before") or {}
        told = [(float(record["started"]), str(path), sum(int(d["bytes"]) for d in dumps))] if dumps else []
        if told and engine in before.get("bytes", {}):
            told.append((float(before["started"]), str(path), int(before["bytes"][engine])))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []
    return told


def is_whole(path: Path, size: int) -> bool | None:
    """Tell whether a dump in text ends as its program ends it; None for others, which do not tell."""
    if path.suffix != ".sql":
        return None
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, size - _TAIL))
            end = stream.read(_TAIL).decode("utf-8", "replace").lower()
    except OSError:
        return None
    return any(mark in end for mark in _ENDS)


def write_private(path: Path, text: str, wanted: dict[str, Any]) -> None:
    """Write a file that only the account that needs it can read, from its first byte on."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600), "w") as file:
        if wanted["account"]:
            os.fchown(file.fileno(), pwd.getpwnam(wanted["account"]).pw_uid, -1)
        file.write(text)


@contextlib.contextmanager
def private_folder(account: str) -> Iterator[Path]:
    """Yield a folder in memory that only we and an account can enter; it is gone afterwards."""
    with tempfile.TemporaryDirectory(
        prefix="rawat-", dir="/run" if os.access("/run", os.W_OK) else None
    ) as name:
        if account:
            os.chown(name, pwd.getpwnam(account).pw_uid, -1)
        yield Path(name)


def main() -> None:
    """Measure and leave."""
    module = AnsibleModule(
        argument_spec={
            "engine": {"type": "str", "required": True, "choices": ["postgresql", "mariadb"]},
            "address": {"type": "str", "default": ""},
            "port": {"type": "int", "default": 0},
            "user": {"type": "str", "default": ""},
            "password": {"type": "str", "default": "", "no_log": True},
            "account": {"type": "str", "default": ""},
            "database": {"type": "str", "default": ""},
            "dumps": {"type": "list", "elements": "str", "default": []},
            "timeout": {"type": "int", "default": 20},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    client = {"postgresql": "psql", "mariadb": "mariadb"}[wanted["engine"]]
    module.get_bin_path(client, required=True)
    if wanted["account"] and os.geteuid() != 0:
        module.fail_json(msg=f"only root can become {wanted['account']}: set check_database_become")
    if re.search(r"[\r\n\0]", wanted["password"] + wanted["user"] + wanted["address"] + wanted["database"]):
        module.fail_json(msg="user, password, address or database of the check has a line break in it")
    try:
        with private_folder(wanted["account"]) as private:
            facts = measure(wanted, private)
    except KeyError:
        module.fail_json(msg=f"this computer has no account {wanted['account']}")
    module.exit_json(changed=False, facts=facts)


if __name__ == "__main__":
    main()
