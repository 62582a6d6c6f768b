"""The limits of a test suite, as a pytest plugin: no host fills the tests' memory or keeps them for ever.

testinfra reads whatever a command prints and waits until it ends. Here a command that prints too much, or
that takes longer than any test asks for, counts as a lost connection: the suite does not wait for it again.
"""

from __future__ import annotations

import os
import resource
import selectors
import signal
import subprocess
import time
from typing import Any

from testinfra.backend.base import BaseBackend, CommandResult

from runner.display import TRUNCATED

MAX_OUTPUT = 2 * 1024 * 1024
"""Bytes that one command may print, on stdout and stderr together."""
# The suites give a host 120 s and have the host keep them; this is for a host that does not.
SECONDS = 180.0
_MEMORY = 512 * 1024 * 1024
_CHUNK = 65536
_SSH_FAILED = 255
_SHOWN_OF_REASON = 200


def pytest_configure() -> None:
    """Set the limits before any test runs."""
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    BaseBackend.run_local = run_local


def run_local(self: Any, command: str, *args: str) -> CommandResult:  # noqa: ANN401 - testinfra's own type
    """Run a command as testinfra does, within the limits."""
    line = self.encode(self.quote(command, *args))
    process = subprocess.Popen(
        ["/bin/sh", "-c", line],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    output, problem = _read(process)
    if problem:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return self.result(_SSH_FAILED, line, b"", problem.encode())
    told, said = output
    status = process.wait()
    # ssh ends with its reason; what stands above may be long, and a host may have written it (a banner).
    return self.result(status, line, told, _end_of(said) if status == _SSH_FAILED else said)


def _end_of(said: bytes) -> bytes:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return b" ".join(lines[-2:])[-_SHOWN_OF_REASON:]


def _read(process: subprocess.Popen[bytes]) -> tuple[tuple[bytes, bytes], str]:
    """Return what a process prints on stdout and stderr, and what was too much about it."""
    if process.stdout is None or process.stderr is None:
        raise ValueError("the process was started without pipes")
    pieces: dict[Any, list[bytes]] = {process.stdout: [], process.stderr: []}
    deadline = time.monotonic() + SECONDS
    size, problem = 0, ""
    with selectors.DefaultSelector() as selector, process.stdout, process.stderr:
        for pipe in pieces:
            selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map() and not problem:
            for key, _ in selector.select(max(0.0, deadline - time.monotonic())):
                data = os.read(key.fd, _CHUNK)
                size += len(data)
                pieces[key.fileobj].append(data)
                if not data:
                    selector.unregister(key.fileobj)
            if size > MAX_OUTPUT:
                problem = f"{TRUNCATED} host mengirim lebih dari {MAX_OUTPUT} byte"
            elif time.monotonic() >= deadline:
                problem = f"{TRUNCATED} host tidak selesai menjawab dalam {SECONDS:g} detik"
    told = tuple(b"".join(parts) for parts in pieces.values())
    return (told[0], told[1]), problem
