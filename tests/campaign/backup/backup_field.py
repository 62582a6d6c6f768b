"""The hosts of the backup campaign, what is in their databases, and where their backups go."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labs import PROGRAMS, command, connection
from office_services import put
from played import Played, play
from testinfra.host import Host

from lab.layout import MIRROR_PORT, Lab, state_folder

LAB = "bakcampaign"
SECONDS = 400
KEY, SECRET = "AKLAB", "rahasia-s3-yang-panjang"
ODD = ["host=192.0.2.9 dbname=x", "it's \\ a -- b"]
"""Names of databases that a careless command would take for something else."""


@dataclass
class BackupField:
    """The lab's hosts and a folder for what a test writes."""

    lab: Lab
    inventory: Path
    folder: Path

    def host(self, name: str) -> Host:
        return connection(self.inventory, name)

    def address(self, name: str) -> str:
        return self.lab.address(self.lab.host(name))

    def back_up(self, run: str, **variables: object) -> Played:
        """Back the first host up, by the playbook of row 6."""
        said = {"rawat_run": run, "rawat_plan": "", **variables}
        words = command("backup-hosts.yml", "svc1", said, self.inventory)
        return play(words, self.folder / "channel.jsonl", seconds=SECONDS)

    def restic(self, repository: Path, *arguments: str) -> str:
        """Ask a repository of the append-only server, on the controller."""
        password = self.inventory / "secrets" / "restic_password"
        command = ["restic", "--no-cache", "--no-lock", "-r", str(repository), "-p", str(password)]
        return subprocess.run([*command, *arguments], capture_output=True, text=True, check=True).stdout

    @property
    def rest_repository(self) -> Path:
        return state_folder(LAB) / "backups" / "svc1"

    def start_databases(self, name: str) -> None:
        """Start an empty server of each kind."""
        host = self.host(name)
        host.check_output(
            "pg_createcluster 15 main && pg_ctlcluster 15 main start && systemctl start mariadb"
        )

    def postgresql(self, name: str, sql: str, database: str = "postgres") -> str:
        host = self.host(name)
        put(host, "/tmp/ask.sql", sql)
        return host.check_output(
            "runuser -u postgres -- psql -XAtq -v ON_ERROR_STOP=1 -d %s -f /tmp/ask.sql", database
        )

    def mariadb(self, name: str, sql: str) -> str:
        host = self.host(name)
        put(host, "/tmp/ask.sql", sql)
        return host.check_output("sh -c 'mariadb --batch --skip-column-names < /tmp/ask.sql'")

    def fill_databases(self, name: str) -> None:
        """Make roles, databases with odd names, and rows."""
        quoted = ['"' + odd.replace('"', '""') + '"' for odd in ODD]
        self.postgresql(name, "create role petugas login;\ncreate database layanan owner petugas;\n"
                        + "".join(f"create database {odd};\n" for odd in quoted))  # fmt: skip
        self.postgresql(
            name,
            "create table surat as select n, md5(n::text) as isi from generate_series(1, 50000) n;",
            "layanan",
        )
        self.mariadb(name, 'create database kepegawaian; create database `--aneh; "x"`; use kepegawaian;'
                     "create table pegawai (n int primary key, isi text);"
                     "insert into pegawai select seq, md5(seq) from seq_1_to_20000;"
                     "create table lama (n int) engine=MyISAM;")  # fmt: skip

    def digests(self, name: str) -> tuple[str, str]:
        """Return a digest over the rows of a table of each kind of server."""
        rows = "select count(*) || ' ' || md5(string_agg(n || isi, ',' order by n)) from surat;"
        return self.postgresql(name, rows, "layanan"), self.mariadb(
            name, "checksum table kepegawaian.pegawai;"
        )


@dataclass
class S3Server:
    """rclone as an S3 server on the controller."""

    address: str
    folder: Path
    credentials: Path

    @classmethod
    @contextmanager
    def started(cls, field: BackupField) -> Iterator[S3Server]:
        """Serve a folder until the test ends."""
        # The only port of the lab's firewall that nothing else of this profile listens on.
        address = f"{field.lab.controller}:{MIRROR_PORT}"
        folder = field.folder / "s3"
        folder.mkdir()
        keys = {"rclone": f"{KEY},{SECRET}"}
        command = [
            str(PROGRAMS / "rclone"),
            "serve",
            "s3",
            f"--addr={address}",
            f"--auth-key={keys['rclone']}",
        ]
        # A file that has vanished must not be there any more at the next call. Not 0: rclone would spin.
        command += ["--dir-cache-time=100ms", "--vfs-cache-mode=off", str(folder)]
        log = (field.folder / "s3.log").open("wb")
        with (
            log,
            subprocess.Popen(command, env={"RCLONE_CONFIG": "/dev/null"}, stdout=log, stderr=log) as server,
        ):
            try:
                wait_for(field.lab.controller, MIRROR_PORT)
                yield cls(address, folder, credentials(field.folder / "s3-keys", SECRET))
            finally:
                server.kill()

    def inputs(self, file: Path | None = None) -> dict[str, Any]:
        """Return the role's inputs for this server."""
        return {
            "back_up_host_repository": f"s3:http://{self.address}/cadangan/svc1",
            "back_up_host_rest_user": "",
            "back_up_host_s3_credentials_file": file or self.credentials,
        }


def credentials(path: Path, secret: str) -> Path:
    """Write a pair of S3 keys in the form of AWS."""
    path.write_text(f"[default]\naws_access_key_id = {KEY}\naws_secret_access_key = {secret}\n")
    path.chmod(0o600)
    return path


def wait_for(host: str, port: int) -> None:
    """Wait until something listens."""
    for _ in range(200):
        try:
            socket.create_connection((host, port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"nothing listens at {host}:{port}")


def sentence(played: Played) -> str:
    """Return what is told of the failed host, without restic's own words in brackets."""
    return re.sub(r" \(.*", "", played.failures["svc1"], flags=re.DOTALL)
