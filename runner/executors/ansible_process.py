"""Runs one playbook by ansible-runner in a process of its own. The only module that imports it.

A process of its own, because ansible-runner hands its whole environment on and writes it in clear into
its artifacts: here there is only what the executor allowed.
"""

from __future__ import annotations

import ctypes
import json
import resource
import signal
import sys
from pathlib import Path

import ansible_runner

_PR_SET_PDEATHSIG = 1
_MEMORY = 512 * 1024 * 1024
"""Bytes of data that Ansible and each of its workers may hold: a host must not fill the controller."""


def main() -> int:
    """Run what the request file (the only argument) says and return ansible-playbook's exit code."""
    # When its warden is killed, this process follows: it ends ansible-playbook on SIGTERM.
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
    # A core file would hold passwords.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
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
