"""restic on one repository, with the credentials kept off arguments, environment and disk.

Each is handed on by a file descriptor; only ssh, which closes what it inherits, gets its key as a root-only
file in memory.
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ansible.module_utils.back_up_host_repositories import (
    RepositoryError,
    cause_of,
    kind_of,
    require_server,
    sftp_command,
)

PIECE = 1024 * 1024
_SSH_SECONDS = 20.0
SECRET_KEY = re.compile(r"(?im)^\s*aws_secret_access_key\s*=\s*(\S+)")

REPOSITORY_ARGUMENTS: dict[str, dict[str, Any]] = {
    "repository": {"type": "str", "required": True},
    "rest_user": {"type": "str", "default": ""},
    "rest_password": {"type": "str", "default": "", "no_log": True},
    "s3_credentials": {"type": "str", "default": "", "no_log": True},
    "sftp_key": {"type": "str", "default": "", "no_log": True},
    "sftp_known_hosts": {"type": "str", "default": ""},
    "password": {"type": "str", "required": True, "no_log": True},
    "private": {"type": "path", "required": True},
}
"""What a module is told of a repository; ``private`` is a root-only folder in memory for the credentials."""


class BackupError(Exception):
    """The backup is not there or not to be relied on."""


class Restic:
    """restic on one repository; credentials are never in arguments or values."""

    def __init__(self, params: dict[str, Any]) -> None:
        self.deadline = time.monotonic() + params["timeout"]
        self.secrets = [value for value in (params["password"], params["rest_password"]) if value]
        self.options: list[str] = []
        self.ssh: list[str] = []
        self.descriptors: list[int] = []
        self.environment = {
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LC_ALL": "C.UTF-8",
            "RESTIC_REPOSITORY_FILE": self.handed_on(self.address(params)),
            "RESTIC_PASSWORD_FILE": self.handed_on(params["password"]),
        }
        self.take_login(kind_of(params["repository"]), params, Path(params["private"]))

    def handed_on(self, secret: str) -> str:
        """Return the name by which restic reads a secret from a descriptor that it inherits."""
        descriptor = os.memfd_create("rawat")
        self.descriptors.append(descriptor)
        with os.fdopen(descriptor, "w", encoding="utf-8", closefd=False) as content:
            content.write(secret)
        return f"/proc/self/fd/{descriptor}"

    def close(self) -> None:
        """Forget the secrets that were handed on."""
        while self.descriptors:
            os.close(self.descriptors.pop())

    def address(self, params: dict[str, Any]) -> str:
        """Return the repository with the credentials of a REST server in it."""
        address: str = params["repository"]
        kind, _, rest = address.partition("://")
        if not params["rest_user"]:
            return address
        if not kind.startswith("rest:"):
            raise BackupError(f"a REST user is given, but {address} is no REST repository")
        quoted = [urllib.parse.quote(params[name], safe="") for name in ("rest_user", "rest_password")]
        self.secrets.append(quoted[1])
        return f"{kind}://{quoted[0]}:{quoted[1]}@{rest}"

    def take_login(self, kind: str, params: dict[str, Any], private: Path) -> None:
        """Take the login for an S3 or sftp server from the files that were given."""
        if kind == "s3":
            if not params["s3_credentials"]:
                raise RepositoryError("an S3 repository needs back_up_host_s3_credentials_file")
            self.environment["AWS_SHARED_CREDENTIALS_FILE"] = self.handed_on(params["s3_credentials"] + "\n")
            self.secrets += SECRET_KEY.findall(params["s3_credentials"])
        if kind == "sftp":
            if not params["sftp_key"] or not params["sftp_known_hosts"]:
                raise RepositoryError(
                    "an sftp repository needs back_up_host_sftp_key_file and "
                    "back_up_host_sftp_known_hosts_file"
                )
            key = write_secret(private / "sftp_key", params["sftp_key"] + "\n")
            known = write_secret(private / "known_hosts", params["sftp_known_hosts"] + "\n")
            command = sftp_command(params["repository"], key, known)
            self.ssh = shlex.split(command)
            self.options = ["-o", f"sftp.command={command}"]

    def call(self, *arguments: str) -> tuple[int, str, str]:
        """Run restic within what is left of the time; nothing is cached on the host."""
        with subprocess.Popen(
            ["restic", "--no-cache", *self.options, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment,
            pass_fds=self.descriptors,
            cwd="/",
            start_new_session=True,
        ) as process:
            try:
                output, complaint = process.communicate(timeout=max(1.0, self.deadline - time.monotonic()))
            except subprocess.TimeoutExpired as error:
                raise BackupError(
                    f"restic {arguments[0]} was not done in time: the repository hangs, or is slow"
                ) from error
            finally:
                end(process)
        return process.returncode, self.scrubbed(output), self.scrubbed(complaint)

    def require(self, what: str, *arguments: str) -> str:
        """Run restic and return its output; ``what`` names what a failure means."""
        status, output, complaint = self.call(*arguments)
        if status:
            tail = " ".join((complaint or output).split())[-600:]
            cause = self.cause_of(complaint or output)
            what = f"{what}: {cause}" if cause else what
            raise BackupError(f"{what} (restic {arguments[0]} ended with {status}): {tail}")
        return output

    def cause_of(self, complaint: str) -> str:
        """Return what a refusal means, "" when that is not known.

        restic may end before it has passed on what its ssh said: then ssh is asked once more, by itself.
        """
        return cause_of(complaint) or cause_of(self.said_by_ssh())

    def said_by_ssh(self) -> str:
        """Return what ssh complains of on its way to the repository, "" when it gets there or is not used."""
        if not self.ssh:
            return ""
        left = max(1.0, min(_SSH_SECONDS, self.deadline - time.monotonic()))
        try:
            done = subprocess.run(
                self.ssh,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=left,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return ""
        return self.scrubbed(done.stderr)

    def scrubbed(self, raw: bytes) -> str:
        """Return text of restic without the secrets, should one ever stand in it."""
        text = raw.decode(errors="replace")
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text


@contextmanager
def opened(params: dict[str, Any]) -> Iterator[Restic]:
    """Give restic on the repository of a module; whatever happens, the credentials leave the host with it."""
    try:
        require_server(params["repository"])
        restic = Restic(params)
        try:
            yield restic
        finally:
            restic.close()
    finally:
        shutil.rmtree(params["private"], ignore_errors=True)


def end(process: subprocess.Popen[bytes]) -> None:
    """End restic, letting it free its lock first."""
    for number, patience in ((signal.SIGINT, 10), (signal.SIGKILL, 10)):
        if process.poll() is not None:
            return
        os.killpg(process.pid, number)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            continue


def write_secret(path: Path, secret: str) -> Path:
    """Write a file that only root can read, from its first byte on."""
    target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(target, "w", encoding="utf-8") as content:
        content.write(secret)
    return path


def digest_of(path: Path) -> str | None:
    """Return the sha256 of a regular file of any size, or nothing when there is none."""
    if path.is_symlink() or not path.is_file():
        return None
    digest = hashlib.sha256()
    with path.open("rb") as content:
        while piece := content.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()
