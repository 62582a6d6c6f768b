"""The file that says on a host which work of a run was begun there and how it ended.

It is on the disk before the first change and after the last: what a killed call left is told by it, and by
the boot it was written in.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ansible.module_utils import durable


class Marker:
    """The marker of one kind of work of one run over the updates that were approved."""

    def __init__(self, path: Path, run: str, approved: Sequence[tuple[str, ...]]) -> None:
        self.path, self.run = path, run
        self.approved = [list(update) for update in approved]

    def begun(self) -> dict[str, Any]:
        """Return what an earlier call of this run left about the same approved work, or nothing."""
        left: dict[str, Any] = json.loads(self.path.read_text()) if self.path.exists() else {}
        return left if left.get("approved") == self.approved else {}

    def is_left_open(self) -> bool:
        """Whether work of this run was begun and nobody saw its end."""
        return bool(self.begun().get("outcome") == "begun")

    def write(self, outcome: str, was: dict[str, Any]) -> None:
        """Record begin or end of the work before anything else happens; what was before stays as first told.

        Raises:
            OSError: when it cannot be on the disk.
        """
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        record = {
            "run": self.run,
            "approved": self.approved,
            "was": was | self.begun().get("was", {}),
            "boot_id": self.begun().get("boot_id", boot_id()) if outcome != "begun" else boot_id(),
            "outcome": outcome,
        }
        durable.write(self.path, json.dumps(record).encode())

    def left_undone(self, missing: str) -> str:
        """Say what is missing on a host that was lost during its work, and how far it had got."""
        begun = self.begun()
        if not begun:
            return f"Nothing was begun on the host before it was lost; not in effect: {missing}."
        restarted = begun["boot_id"] != boot_id()
        how = "the host was restarted in the middle of the work" if restarted else "the work broke off"
        return f"Not all approved updates are in effect, {how}; not in effect: {missing}."


def boot_id() -> str:
    """Return which boot the host is in."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
