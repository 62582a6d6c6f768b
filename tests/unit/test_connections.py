"""The shared connections of a run: whose they are, when they are shared, that they end with the runner."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from runner.executors.connections import Connections, own_folder

RUNNER = """\
import time
from runner.executors.connections import Connections
with Connections().folder(changes=False) as folder:
    print(folder, flush=True)
time.sleep(600)
"""
# What `ssh -O exit` sends: a hello, and the request to end.
EXIT = bytes.fromhex("00000008 00000001 00000004 00000008 10000005 00000000")


class Master:
    """Stands for an ssh that shares its connection in a folder: ends when it is asked to."""

    def __init__(self, folder: Path) -> None:
        self.place = folder / "0123456789abcdef"
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(self.place))
        self._listening.listen()
        self.heard = b""
        self._thread = threading.Thread(target=self._listen)
        self._thread.start()

    def _listen(self) -> None:
        with self._listening, self._listening.accept()[0] as client:
            while len(self.heard) < len(EXIT):
                self.heard += client.recv(64)
            self.place.unlink()

    def ended(self) -> bytes:
        self._thread.join(timeout=30)
        return self.heard


def gone(folder: Path) -> bool:
    deadline = time.monotonic() + 30
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    return not folder.exists()


def test_rows_that_look_share_connections_and_one_that_changes_has_its_own() -> None:
    kept = Connections()
    with kept.folder(changes=False) as looking:
        assert looking.stat().st_mode & 0o777 == 0o700
    with kept.folder(changes=False) as again:
        assert again == looking
    before = Master(looking)
    with kept.folder(changes=True) as changing:
        assert changing != looking
        assert before.ended() == EXIT
        during = Master(changing)
    assert during.ended() == EXIT
    assert not changing.exists()
    with kept.folder(changes=False) as later:
        assert later == looking
    after = Master(looking)
    kept.close()
    assert after.ended() == EXIT
    assert gone(looking)


def test_connections_end_with_a_runner_that_was_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", RUNNER], stdout=subprocess.PIPE, text=True) as runner:
        assert runner.stdout is not None
        folder = Path(runner.stdout.readline().strip())
        master = Master(folder)
        # What an ssh leaves that was killed itself.
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(folder / "0000"))
        runner.kill()
    assert master.ended() == EXIT
    assert gone(folder)


def test_connections_of_one_action_end_with_it() -> None:
    with own_folder() as folder:
        master = Master(folder)
    assert master.ended() == EXIT
    assert not folder.exists()
