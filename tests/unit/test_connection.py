"""Our ssh connection is Ansible's own in all that Ansible does with it."""

from __future__ import annotations

import subprocess

from runner.connection_plugins import ssh


def test_program_can_be_asked_all_at_once() -> None:
    """So Ansible closes a shared connection around a reboot; else it never notices that a host is back."""
    with ssh._CountedPopen(
        ["sh", "-c", "echo out; echo err >&2"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as program:
        assert program.communicate(timeout=30) == (b"out\n", b"err\n")
