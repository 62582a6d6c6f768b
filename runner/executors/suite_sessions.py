"""One connection a host for all that a suite asks of it, as a pytest plugin. The tests stay testinfra's.

testinfra starts one ``ssh`` for every command of every test. Here a host is connected to once; a small
program there takes one command after another and runs each as sshd would: by the user's login shell, from the
home folder, with nothing on its input. Tests, commands, answers and their order stay, so the verdicts do.

Where that program cannot be started (no Python there, another kind of connection), every command goes the
ordinary way. A command that was under way when the connection was lost is not sent a second time; it counts
as what ssh could not do, and the commands after it go the ordinary way.
"""

from __future__ import annotations

import atexit
import json
import os
import selectors
import shlex
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from testinfra.backend.ansible import AnsibleBackend
from testinfra.backend.base import CommandResult
from testinfra.backend.ssh import SshBackend
from testinfra.utils.ansible_runner import AnsibleRunner

from runner.display import TRUNCATED
from runner.executors import suite_limits

_READY = b"RAWAT-READY\n"
_CONNECT_SECONDS = 30.0
_MOST_NOISE = 65536
_MOST_AT_ONCE = 25
_LONGEST_HEAD = 64
_SSH_FAILED = 255
_PROGRAM = Path(__file__).with_name("suite_on_host.py")


class LostError(Exception):
    """The connection ended, or the host sent what the program does not send."""


class Session:
    """A connection to a host that takes one command after another."""

    def __init__(self, argv: list[str]) -> None:
        self._process = subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        if self._process.stdin is None or self._process.stdout is None:
            raise ValueError("the process was started without pipes")
        self._input, self._output = self._process.stdin, self._process.stdout
        self._heard = b""
        self._is_ready = False

    def begin(self) -> bool:
        """Wait until the program there is ready, and tell whether it is."""
        deadline = time.monotonic() + _CONNECT_SECONDS
        with suppress(LostError):
            while not self._is_ready and len(self._heard) < _MOST_NOISE:
                self._hear(deadline)
                _, ready, rest = self._heard.partition(_READY)
                if ready:
                    self._is_ready, self._heard = True, rest
        if not self._is_ready:
            self.end()
        return self._is_ready

    def run(self, command: bytes) -> tuple[int, bytes, bytes]:
        """Return what a command came to: its status, stdout and stderr.

        Raises:
            LostError: when no answer came, or one beyond the limits of a suite.
        """
        deadline = time.monotonic() + suite_limits.SECONDS
        try:
            self._input.write(b"%d\n" % len(command) + command)
            self._input.flush()
        except OSError as error:
            raise LostError("koneksi ke host terputus") from error
        while b"\n" not in self._heard[:_LONGEST_HEAD]:
            if len(self._heard) >= _LONGEST_HEAD:
                raise LostError(f"{TRUNCATED} jawaban host tidak dapat dibaca")
            self._hear(deadline)
        head, _, self._heard = self._heard.partition(b"\n")
        status, told, said = _sizes(head)
        while len(self._heard) < told + said:
            self._hear(deadline)
        answer, self._heard = self._heard[: told + said], self._heard[told + said :]
        if self._heard:
            raise LostError(f"{TRUNCATED} host menjawab lebih dari yang ditanyakan")
        return status, answer[:told], answer[told:]

    def end(self) -> None:
        """Close the connection."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._input, self._output):
            # What was not sent is not wanted any more.
            with suppress(OSError):
                pipe.close()

    def _hear(self, deadline: float) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._output, selectors.EVENT_READ)
            if not selector.select(max(0.0, deadline - time.monotonic())):
                raise LostError(
                    f"{TRUNCATED} host tidak selesai menjawab dalam {suite_limits.SECONDS:g} detik"
                )
        piece = os.read(self._output.fileno(), 65536)
        if not piece:
            raise LostError("koneksi ke host terputus")
        self._heard += piece


def _sizes(head: bytes) -> tuple[int, int, int]:
    words = head.split()
    if len(words) != 3 or not all(word.isdigit() for word in words):  # noqa: PLR2004 - status and two sizes
        raise LostError(f"{TRUNCATED} jawaban host tidak dapat dibaca")
    status, told, said = (int(word) for word in words)
    if told + said > suite_limits.MAX_OUTPUT:
        raise LostError(f"{TRUNCATED} host mengirim lebih dari {suite_limits.MAX_OUTPUT} byte")
    return status, told, said


SESSIONS: dict[str, Session | None] = {}
"""By how a host is connected to; None where the program could not be started: the ordinary way."""
_ordinary: Callable[[SshBackend, str], CommandResult] = SshBackend.run_ssh


def run_ssh(self: SshBackend, command: str) -> CommandResult:
    """Run a command over the host's one connection; the ordinary way where there is none."""
    key, session = session_of(self)
    if session is None:
        return _ordinary(self, command)
    sent = self.encode(command)
    try:
        status, told, said = session.run(sent)
    except LostError as lost:
        session.end()
        SESSIONS[key] = None
        status, told, said = _SSH_FAILED, b"", str(lost).encode()
    found = self.result(status, sent, told, said)
    if status == _SSH_FAILED:
        # testinfra's word for a connection that failed; it cannot tell it from a command that ended so.
        raise RuntimeError(found)
    return found


def session_of(backend: SshBackend) -> tuple[str, Session | None]:
    """Return how a backend reaches its host, and the connection; it is made when it is asked for first."""
    key = _opened(backend)
    session = SESSIONS[key]
    if session is not None and not session.begin():
        SESSIONS[key] = session = None
    return key, session


def _opened(backend: SshBackend) -> str:
    """Return how a backend reaches its host, having begun to connect when that was not done yet."""
    key = json.dumps(_argv(backend, ""))
    if key in SESSIONS:
        return key
    # A password would have to be handed over; and whoever wraps ssh's answers wants ssh's answers.
    is_ordinary = backend.host.password or type(backend) is not SshBackend
    SESSIONS[key] = None if is_ordinary else Session(_argv(backend, _starting()))
    return key


@cache
def _starting() -> str:
    source = _PROGRAM.read_text(encoding="utf-8")
    return f"exec python3 -I -S -c {shlex.quote(source)} {suite_limits.MAX_OUTPUT}"


def _argv(backend: SshBackend, command: str) -> list[str]:
    """Return ssh's words for a command, as testinfra puts them together."""
    line, words = backend._build_ssh_command(command)  # noqa: SLF001 - testinfra has no other name for it
    return ["/bin/sh", "-c", f"exec {backend.quote(' '.join(line), *words)}"]


def listing(inventory: dict[str, Any]) -> dict[str, Any]:
    """Return an inventory of one list of hosts as ``ansible-inventory --list`` prints it."""
    hosts = inventory["all"]["hosts"]
    return {
        "_meta": {"hostvars": hosts},
        "all": {"children": ["ungrouped"]},
        "ungrouped": {"hosts": [*hosts]},
    }


def _inventory(self: AnsibleRunner) -> dict[str, Any]:
    if self.inventory_file is None:
        raise ValueError("the suite is given its inventory")
    return listing(json.loads(Path(self.inventory_file).read_bytes()))


def pytest_configure() -> None:
    """Take the places of testinfra's own ways."""
    SshBackend.run_ssh = run_ssh
    # What the executor wrote has nothing left to evaluate: no ansible-inventory has to be started to read it.
    described = cached_property(_inventory)
    described.__set_name__(AnsibleRunner, "inventory")
    AnsibleRunner.inventory = described


def pytest_collection_finish(session: Any) -> None:  # noqa: ANN401 - pytest's own type
    """Begin to connect to all hosts at once, before the first test waits for the first of them."""
    hosts = {}
    for item in session.items:
        callspec = getattr(item, "callspec", None)
        host = callspec.params.get("_testinfra_host") if callspec else None
        if host is not None and isinstance(host.backend, AnsibleBackend):
            hosts[host.backend.host] = host.backend
    for backend in list(hosts.values())[:_MOST_AT_ONCE]:
        reached = backend.ansible_runner.get_host(
            backend.host, ssh_config=backend.ssh_config, ssh_identity_file=backend.ssh_identity_file
        )
        if reached is not None and isinstance(reached.backend, SshBackend):
            _opened(reached.backend)


@atexit.register
def _end_all() -> None:
    for session in SESSIONS.values():
        if session is not None:
            session.end()
