"""Takes one command after another over a connection and answers each; sent to a host, run by its Python.

Standard library alone, Python 3.6 or newer. It changes nothing itself, is written nowhere, and ends with the
connection: while a command works, nothing comes in but the end of it. What a command prints is capped.
Each comes as its size on a line and its bytes; the answer is status and two sizes on a line, stdout, stderr.
"""

import os
import selectors
import signal
import subprocess
import sys

FAILED = 255
"""What ssh ends with when a command was ended by a signal."""


def answer(command: bytes, most: int) -> "tuple[int, bytes, bytes]":
    """Run a command as sshd would; one that prints too much, or outlives the connection, ends all."""
    shell = os.environ.get("SHELL") or "/bin/sh"
    child = subprocess.Popen(
        [shell.encode(), b"-c", command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    if child.stdout is None or child.stderr is None:
        raise ValueError("the process was started without pipes")
    told, said = child.stdout.fileno(), child.stderr.fileno()
    pieces: dict[int, list[bytes]] = {told: [], said: []}
    size = 0
    with selectors.DefaultSelector() as selector:
        for pipe in (0, told, said):
            selector.register(pipe, selectors.EVENT_READ)
        while len(selector.get_map()) > 1:
            for key, _ in selector.select():
                piece = b"" if key.fd == 0 else os.read(key.fd, 65536)
                size += len(piece)
                if key.fd == 0 or size > most:
                    os.killpg(child.pid, signal.SIGKILL)
                    tell(FAILED, most + 1, 0)
                    os._exit(0)
                pieces[key.fd].append(piece)
                if not piece:
                    selector.unregister(key.fd)
    status = child.wait()
    return (status if status >= 0 else FAILED), b"".join(pieces[told]), b"".join(pieces[said])


def tell(status: int, told: int, said: int, *parts: bytes) -> None:
    """Send an answer."""
    sys.stdout.buffer.write(b"%d %d %d\n" % (status, told, said))
    for part in parts:
        sys.stdout.buffer.write(part)
    sys.stdout.buffer.flush()


def main(most: int) -> None:
    """Answer until the connection ends."""
    sys.stdout.buffer.write(b"RAWAT-READY\n")
    sys.stdout.buffer.flush()
    # Not buffered: what was read ahead would not wake the selector.
    with os.fdopen(0, "rb", 0, closefd=False) as source:
        while True:
            size = source.readline()
            if not size:
                return
            left, command = int(size), b""
            while len(command) < left:
                piece = source.read(left - len(command))
                if not piece:
                    return
                command += piece
            status, told, said = answer(command, most)
            tell(status, len(told), len(said), told, said)


if __name__ == "__main__":
    main(int(sys.argv[1]))
