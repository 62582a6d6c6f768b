"""`rawat` as the lab's operator and officials use it without a terminal; gates are decided elsewhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RAWAT = str(Path(sys.executable).with_name("rawat"))
SOP = str(ROOT / "sops" / "surakarta-system-update.yml")
SECONDS = 1500


@dataclass
class Unattended:
    """The command line over a folder that holds the runs and the archive, and the lab's passphrase."""

    folder: Path

    def __post_init__(self) -> None:
        askpass = self.folder / "askpass"
        askpass.write_text("#!/bin/sh\necho rawat-lab\n", encoding="ascii")
        askpass.chmod(0o700)

    @property
    def inventory(self) -> Path:
        return self.folder / "inventory"

    @property
    def runs(self) -> Path:
        return self.folder / "runs"

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {
            "RAWAT_RUNS": str(self.runs),
            "RAWAT_ARCHIVE": str(self.folder / "archive"),
            "SSH_ASKPASS": str(self.folder / "askpass"),
            "SSH_ASKPASS_REQUIRE": "force",
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command; what it shows comes through its ``stdout``. Decisions are on the gate as it is."""
        if arguments[0] == "decide" and "--gate" not in arguments:
            awaited = json.loads(self.rawat("status", "--json"))["awaited"]
            arguments += ("--gate", awaited["code"]) if awaited else ()
        return subprocess.Popen(
            [RAWAT, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment,
            cwd=ROOT,
        )

    def rawat(self, *arguments: str, expect: int = 0) -> str:
        """Return what a command shows that ends with this exit code."""
        with self.start(*arguments) as child:
            shown, _ = child.communicate(timeout=SECONDS)
        assert child.returncode == expect, f"{arguments}: {shown[-3000:]}"
        return shown

    def journal(self) -> list[dict[str, Any]]:
        """Return the records of the one run that was begun, without a torn line."""
        (path,) = (path for path in self.runs.glob("*/journal.jsonl") if path.stat().st_size)
        return [json.loads(line) for line in path.read_bytes().rpartition(b"\n")[0].splitlines()]

    @property
    def bag(self) -> Path:
        """Return the archive of the one run that was closed."""
        (bag,) = (path.parent for path in (self.folder / "archive").rglob("bagit.txt"))
        return bag

    def on_host(self, host: str, command: str) -> str:
        """Return what a shell command prints on a host, over ssh as Ansible reaches it."""
        done = subprocess.run(
            [
                str(Path(RAWAT).with_name("ansible")),
                *("-i", str(self.inventory), host),
                *("-m", "ansible.builtin.raw", "-a", command),
            ],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout
