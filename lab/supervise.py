"""Keeps one process of the lab going: a host or a service of the controller.

Run by path with `python -I`, so it imports nothing but the standard library. It enters its own
control group first, which is how the lab finds it again whatever happens to files and parents.
A host that reboots ends its container with 133 and is started again; a service is always started
again. On SIGTERM the child is asked to end, and nothing is started any more.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

PR_SET_PDEATHSIG = 1
REBOOTED = 133


def enter_groups(groups: list[str]) -> None:
    """Move the calling process into the control groups."""
    for group in groups:
        with open(os.path.join(group, "cgroup.procs"), "w", encoding="ascii") as procs:
            procs.write("0")


class Supervisor:
    """Starts a command again and again until told to stop."""

    def __init__(self, command: list[str], groups: list[str], always: bool) -> None:
        self.command = command
        self.groups = groups
        self.always = always
        self.child: subprocess.Popen[bytes] | None = None
        self.is_stopping = False
        self.libc = ctypes.CDLL(None, use_errno=True)

    def stop(self, _number: int, _frame: FrameType | None) -> None:
        self.is_stopping = True
        if self.child is not None:
            self.child.send_signal(signal.SIGTERM)

    def prepare_child(self) -> None:
        # A host must not outlive the one process that would start it again after a reboot.
        self.libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        enter_groups(self.groups)

    def keep_going(self) -> int:
        """Return the last exit code of the command."""
        while True:
            self.child = subprocess.Popen(self.command, preexec_fn=self.prepare_child)
            if self.is_stopping:
                self.child.send_signal(signal.SIGTERM)
            code = self.child.wait()
            if self.is_stopping or not (self.always or code == REBOOTED):
                return code
            if self.always:
                time.sleep(0.5)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--always", action="store_true")
    parser.add_argument("--pid-file", required=True)
    parser.add_argument("--own", action="append", default=[], metavar="GROUP")
    parser.add_argument("--child", action="append", default=[], metavar="GROUP")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    enter_groups(options.own)
    supervisor = Supervisor(options.command, options.child, options.always)
    signal.signal(signal.SIGTERM, supervisor.stop)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    pid_file = Path(options.pid_file)
    pid_file.write_text(f"{os.getpid()}\n", encoding="ascii")
    try:
        return supervisor.keep_going()
    finally:
        pid_file.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
