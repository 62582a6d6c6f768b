"""Where ssh connections to the hosts are shared: within an action, and between the rows of a run that look.

Rules:
1. The folder is the run's own (0700, a short random name): no other program's connection is ever used.
2. Actions that only look at hosts share connections, so that a host is connected to once for several of them.
   ssh ends one that nobody used for as long as ``ansible.cfg`` says, or that the host no longer answers on.
3. An action that changes hosts has connections of its own: it may restart a host or change how it is reached.
   Those of before are ended first.
4. They end with the runner, however that ends (``connection_keeper.py``).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from runner.executors import connection_keeper

_PREFIX = "rawat-"


class Connections:
    """The shared connections of one run, from its first action to the end of this process."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._keeper: subprocess.Popen[bytes] | None = None

    @contextmanager
    def folder(self, *, changes: bool) -> Iterator[Path]:
        """Give the folder for the connections of one action."""
        if not changes:
            yield self._kept()
            return
        if self._folder is not None:
            connection_keeper.end_all(self._folder)
        with own_folder() as folder:
            yield folder

    def close(self) -> None:
        """End the connections now. Whoever does not call it has them ended when this process ends."""
        if self._keeper is not None and self._keeper.stdin is not None:
            self._keeper.stdin.close()
            self._keeper.wait()
        self._folder = self._keeper = None

    def _kept(self) -> Path:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
            self._keeper = subprocess.Popen(
                [sys.executable, "-I", "-S", "-B", connection_keeper.__file__, str(self._folder)],
                cwd="/",
                env={},
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                # Ctrl-C at the terminal is for the runner; the keeper leaves after it.
                start_new_session=True,
            )
        return self._folder


@contextmanager
def own_folder() -> Iterator[Path]:
    """Give a folder for the connections of one action alone; they end with it."""
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as name:
        folder = Path(name)
        try:
            yield folder
        finally:
            connection_keeper.end_all(folder)
