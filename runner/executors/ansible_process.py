"""Runs one playbook by ansible-runner in a process of its own. The only module that imports it.

A process of its own, because ansible-runner hands its whole environment on and writes it in clear into
its artifacts: here there is only what the executor allowed.
"""

from __future__ import annotations

import ctypes
import json
import signal
import sys
from pathlib import Path

import ansible_runner

_PR_SET_PDEATHSIG = 1


def main() -> int:
    """Run what the request file (the only argument) says and return ansible-playbook's exit code."""
    # When its warden is killed, this process follows: it ends ansible-playbook on SIGTERM.
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    request = json.loads(Path(sys.argv[1]).read_bytes())
    done = ansible_runner.run(
        private_data_dir=request["work"],
        project_dir=request["root"],
        ident="ansible",
        playbook=request["playbook"],
        inventory=request["inventory"],
        limit=request["limit"],
        extravars=request["vars"],
        timeout=request["timeout"],
        quiet=True,
        suppress_env_files=True,
        event_handler=lambda _event: False,
    )
    return int(done.rc)


if __name__ == "__main__":
    sys.exit(main())
