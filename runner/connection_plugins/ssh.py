"""Ansible's ssh connection under Rawat's rules; takes its place by its name.

- Host keys are strict, whatever inventory, environment and ``~/.ssh/config`` say: our options come first.
- What a host sends in answer to one command is capped, so that a host cannot fill the controller's memory.
- Address and user are words that ssh cannot take for an option or the shell for a command.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import threading
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins import connection as connections

from runner.addresses import address_problem
from runner.display import TRUNCATED


def _original() -> Any:
    """Load Ansible's own plugin from its file: by its name, Python would find this one."""
    path = Path(str(connections.__file__)).with_name("ssh.py")
    spec = importlib.util.spec_from_file_location("rawat_original_ssh", path)
    if spec is None or spec.loader is None:
        raise AnsibleError(f"Ansible has no ssh connection at {path}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


original = _original()
DOCUMENTATION = original.DOCUMENTATION

MAX_OUTPUT = 4 * 1024 * 1024
"""Bytes that one command of a host may send, each on stdout and stderr."""
_CHUNK = 65536
# Which connection a thread runs a program for.
_RUNNING = threading.local()


class TooMuchError(AnsibleError):  # type: ignore[misc]  # ansible-core ships no types
    """A host sent more than one command may send."""


class _Counted:
    """A pipe from ssh that gives up once too much came out of it."""

    def __init__(self, pipe: Any, process: subprocess.Popen[bytes], most: int) -> None:
        self._pipe, self._process, self._most, self._left = pipe, process, most, most

    @property
    def closed(self) -> bool:
        return bool(self._pipe.closed)

    def fileno(self) -> int:
        return int(self._pipe.fileno())

    def close(self) -> None:
        self._pipe.close()

    def read(self) -> bytes:
        data = self._pipe.read(_CHUNK) or b""
        self._left -= len(data)
        if self._left < 0:
            self._process.kill()
            raise TooMuchError(
                f"{TRUNCATED} the host sent more than {self._most} bytes in answer to one command"
            )
        return bytes(data)


class _CountedPopen(subprocess.Popen):  # type: ignore[type-arg]
    """Starts a program and counts what it prints."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        connection = getattr(_RUNNING, "connection", None)
        if connection and connection.own_session:
            kwargs["start_new_session"] = True
        super().__init__(*args, **kwargs)
        if self.stdout is not None and self.stderr is not None:
            most = connection.most_output if connection else MAX_OUTPUT
            self.stdout, self.stderr = _Counted(self.stdout, self, most), _Counted(self.stderr, self, most)  # type: ignore[assignment]
        if connection:
            connection.started(self)


class _Subprocess:
    """The module ``subprocess`` with a ``Popen`` that counts."""

    Popen = _CountedPopen

    def __getattr__(self, name: str) -> Any:
        return getattr(subprocess, name)


class Connection(original.Connection):  # type: ignore[misc,name-defined]
    """An ssh connection under Rawat's rules."""

    most_output = MAX_OUTPUT
    own_session = False
    """For one of many in a process: Linux shares processors out by sessions, before it does by processes."""
    _program: subprocess.Popen[bytes] | None = None
    _given_up = False

    def _bare_run(self, *args: Any, **kwargs: Any) -> Any:
        _RUNNING.connection = self
        try:
            return super()._bare_run(*args, **kwargs)
        finally:
            _RUNNING.connection = self._program = None

    def started(self, program: subprocess.Popen[bytes]) -> None:
        """Take note of the program that runs for this connection."""
        self._program = program
        if self._given_up:
            program.kill()

    def give_up(self) -> None:
        """End what runs for this connection, now or later; may be called by another thread."""
        self._given_up = True
        program = self._program
        if program:
            program.kill()

    def _build_command(self, binary: str, subsystem: str, *other_args: Any) -> list[bytes]:
        problem = address_problem(self.get_option("host"), self.get_option("remote_user"))
        if problem:
            raise AnsibleConnectionFailure(f"{problem}; nothing was run")
        command: list[bytes] = super()._build_command(binary, subsystem, *other_args)
        options = [f"-o{option}".encode() for option in os.environ["RAWAT_SSH_OPTIONS"].split()]
        place = command.index(os.fsencode(binary)) + 1
        return [*command[:place], *options, *command[place:]]


# The library reads whatever a host sends and has no limit of its own.
original.subprocess = _Subprocess()
