"""Runs one command for the runner, and ends it with all that it started as soon as the runner has died.

A killed runner can end nothing itself, and an ansible-playbook that nobody follows would go on to its next
task. So each action's command is the child of a warden. The warden's standard input is a pipe of which only
the runner holds the other end: the kernel closes it with the runner, however that died.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys

from runner.executors import processes


def main() -> int:
    """Run the command in the arguments; return its exit code, or 1 when the runner died before its end."""
    # Whoever ends this action ends the command; the warden leaves after it, to see to what it started.
    # A handler, not SIG_IGN, which the command would inherit.
    signal.signal(signal.SIGTERM, lambda *_: None)
    child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
    ended = os.pidfd_open(child.pid)
    readable, _, _ = select.select([sys.stdin.fileno(), ended], [], [])
    action = os.environ[processes.MARK]
    if ended in readable:
        processes.end_marked(action)
        return child.wait()
    processes.kill_marked(action)
    child.wait()
    return 1


if __name__ == "__main__":
    sys.exit(main())
