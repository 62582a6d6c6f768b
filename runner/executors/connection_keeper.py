"""Ends a run's shared ssh connections once its runner has ended, however it did. Needs no other module.

Started with the folder of the connections as its argument. Its standard input is a pipe of which only the
runner holds the other end: the kernel closes it with the runner.
"""

from __future__ import annotations

import shutil
import signal
import socket
import struct
import sys
from contextlib import suppress
from pathlib import Path

# OpenSSH's PROTOCOL.mux: a hello of version 4, then the request to end. Each packet begins with its length.
_HELLO = struct.pack(">III", 8, 0x00000001, 4)
_TERMINATE = struct.pack(">III", 8, 0x10000005, 0)
_SECONDS = 2.0


def end_all(folder: Path) -> None:
    """Have every ssh that shares its connection in this folder end, and with it the connection."""
    for place in sorted(folder.iterdir()):
        # One that has ended by itself may have left its socket behind.
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as master:
            master.settimeout(_SECONDS)
            master.connect(str(place))
            master.sendall(_HELLO + _TERMINATE)
            while master.recv(4096):
                pass


def main() -> int:
    """Wait for the runner's end, then end the connections and remove their folder."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    folder = Path(sys.argv[1])
    while sys.stdin.buffer.read(1):
        pass
    end_all(folder)
    shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
