"""Keeps one process of the lab going: a host or a service of the controller.

Run by path with `python -I`, so it imports nothing but the standard library. It enters its own
control group first, which is how the lab finds it again whatever happens to files and parents.
A host that reboots ends its container with 133 and is started again; a service is always started
again. On SIGTERM the child is asked to end, and nothing is started any more.
"""

import argparse
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

REBOOTED = 133
# The child enters its own groups before it becomes the command, so that the command's children are in them.
# It dies with this process: nobody else would start it again after a reboot.
ENTER_GROUPS = 'for group in $1; do echo 0 > "$group/cgroup.procs"; done; shift; exec "$@"'
BECOME_CHILD = ("setpriv", "--pdeathsig", "KILL", "/bin/sh", "-e", "-c", ENTER_GROUPS, "enter")


class Supervisor:
    """Starts a command again and again until told to stop."""

    def __init__(self, command: list[str], *, always: bool) -> None:
        self.command = command
        self.always = always
        self.child: subprocess.Popen[bytes] | None = None
        self.is_stopping = False

    def stop(self, _number: int, _frame: FrameType | None) -> None:
        """Ask the child to end: what SIGTERM does."""
        self.is_stopping = True
        if self.child is not None:
            self.child.send_signal(signal.SIGTERM)

    def keep_going(self) -> int:
        """Return the last exit code of the command."""
        while True:
            self.child = subprocess.Popen(self.command)
            if self.is_stopping:
                self.child.send_signal(signal.SIGTERM)
            code = self.child.wait()
            if self.is_stopping or not (self.always or code == REBOOTED):
                return code
            if self.always:
                time.sleep(0.5)


def main() -> int:
    """Read the arguments and keep the command going."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--always", action="store_true")
    parser.add_argument("--own", action="append", default=[], metavar="GROUP")
    parser.add_argument("--child", action="append", default=[], metavar="GROUP")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    for group in options.own:
        (Path(group) / "cgroup.procs").write_text("0", encoding="ascii")
    command = [*BECOME_CHILD, " ".join(options.child), *options.command]
    supervisor = Supervisor(command, always=options.always)
    signal.signal(signal.SIGTERM, supervisor.stop)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    return supervisor.keep_going()


if __name__ == "__main__":
    sys.exit(main())
