"""Rawat aboard a host of the lab: that host runs it, and is one of the hosts that it maintains.

The host reaches no package index. This checkout, the Python that runs the tests and the libraries they need
are copied onto its disk.
"""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from field import ROOT, Field

CHECKOUT = "/opt/rawat"
PYTHON = "/opt/python"
INVENTORY = "/srv/inventory"
WORK = "/srv/work"
SOP = "sops/surakarta-system-update.yml"
SECONDS = 900
# What WeasyPrint loads by name.
PANGO = ("libpango-1.0.so.0", "libpangoft2-1.0.so.0", "libharfbuzz-subset.so.0")
NEEDLESS = shutil.ignore_patterns("__pycache__", "site-packages", "test", "idlelib", "config-*", "*.a")


@dataclass
class Aboard:
    """The host ``name``, with Rawat on it."""

    field: Field
    name: str

    @property
    def root(self) -> Path:
        return self.field.lab.root(self.field.place(self.name))

    def embark(self) -> None:
        """Put Rawat on the host, and an inventory in which the host is reached without a network."""
        self._copy_checkout()
        self._copy_python()
        self._copy_libraries()
        self._copy_inventory()
        self.field.ssh(self.name, f"ldconfig; mkdir -m 700 {WORK}")

    def _in(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def _copy_checkout(self) -> None:
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split(
            "\0"
        )
        for name in filter(None, names):
            target = self._in(CHECKOUT) / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target)

    def _copy_python(self) -> None:
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        place, venv = self._in(PYTHON), self._in(CHECKOUT) / ".venv"
        (place / "bin").mkdir(parents=True)
        shutil.copy(Path(sys.executable).resolve(), place / "bin" / version)
        shutil.copytree(Path(json.__file__).parents[1], place / "lib" / version, ignore=NEEDLESS)
        (venv / "bin").mkdir(parents=True)
        (venv / "pyvenv.cfg").write_text(f"home = {PYTHON}/bin\n", encoding="ascii")
        (venv / "bin" / "python").symlink_to(f"{PYTHON}/bin/{version}")
        packages = Path("lib", version, "site-packages")
        shutil.copytree(
            Path(sys.prefix) / packages, venv / packages, ignore=shutil.ignore_patterns("__pycache__")
        )
        for pointer in (venv / packages).glob("__editable__*"):
            pointer.write_text(pointer.read_text().replace(str(ROOT), CHECKOUT))
        for script in (Path(sys.prefix) / "bin").iterdir():
            text = script.read_bytes() if script.is_file() and not script.is_symlink() else b""
            if text.startswith(b"#!") and b"python" in text.partition(b"\n")[0]:
                (venv / "bin" / script.name).write_bytes(
                    f"#!{CHECKOUT}/.venv/bin/python\n".encode() + text.partition(b"\n")[2]
                )
                (venv / "bin" / script.name).chmod(0o755)

    def _copy_libraries(self) -> None:
        """Copy every shared library that Python and WeasyPrint load and that the host lacks; and fonts."""
        cache = subprocess.run(["/sbin/ldconfig", "-p"], check=True, capture_output=True, text=True).stdout
        known = dict(re.findall(r"^\t(\S+) .*x86-64.* => (\S+)$", cache, re.MULTILINE))
        first = [Path(known[name]) for name in PANGO]
        modules = [Path(sys.executable).resolve(), *(self._in(PYTHON) / "lib").rglob("*.so")]
        for library in {*first, *needed_by([*first, *modules])}:
            places = [
                self._in(f"{top}/{library.name}") for top in ("/usr/lib/x86_64-linux-gnu", "/usr/local/lib")
            ]
            if not any(place.exists() for place in places):
                shutil.copy(library, places[-1])
        for folder in ("/etc/fonts", "/usr/share/fonts", "/usr/share/fontconfig"):
            shutil.copytree(folder, self._in(folder), dirs_exist_ok=True, symlinks=True)

    def _copy_inventory(self) -> None:
        target = self._in(INVENTORY)
        shutil.copytree(self.field.inventory, target)
        settings = target / "group_vars" / "all" / "connection.yml"
        settings.write_text(settings.read_text().replace(str(self.field.inventory), INVENTORY))
        own = target / "host_vars" / f"{self.name}.yml"
        told = own.read_text() if own.exists() else "---\n"
        own.write_text(f"{told}ansible_connection: local\n")
        askpass = self._in("/srv/askpass")
        askpass.write_text("#!/bin/sh\necho rawat-lab\n", encoding="ascii")
        askpass.chmod(0o700)

    # The command line ----------------------------------------------------------------------------

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start `rawat` on the host; what it shows comes through its ``stdout``."""
        environment = {
            "RAWAT_RUNS": f"{WORK}/runs",
            "RAWAT_ARCHIVE": f"{WORK}/archive",
            "SSH_ASKPASS": "/srv/askpass",
            "SSH_ASKPASS_REQUIRE": "force",
            "LC_ALL": "C.UTF-8",
        }
        words = [
            "env",
            *(f"{key}={value}" for key, value in environment.items()),
            ".venv/bin/rawat",
            *arguments,
        ]
        return subprocess.Popen(
            [*self.field.ssh_words(self.name), f"cd {CHECKOUT} && {shlex.join(words)}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def rawat(self, *arguments: str, expect: int = 0) -> str:
        """Return what `rawat` shows on the host when it ends with this exit code."""
        code, shown = self.try_rawat(*arguments)
        assert code == expect, f"{arguments}: {code}: {shown[-3000:]}"
        return shown

    def try_rawat(self, *arguments: str) -> tuple[int, str]:
        """Return exit code and words of `rawat` on the host."""
        with self.start(*arguments) as child:
            shown, _ = child.communicate(timeout=SECONDS)
        return child.returncode, shown

    def status(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.rawat("status", "--json"))
        return told

    def decide(self, outcome: str, official: str) -> None:
        """Decide at the open gate, having looked at what is shown there."""
        code = self.status()["awaited"]["code"]
        self.rawat("decide", "--outcome", outcome, "--official", official, "--gate", code)

    def order(self, *hosts: str) -> None:
        """Start a run over these hosts and decide at the two gates before the change."""
        self.rawat("run", SOP, "-i", INVENTORY, "--limit", ",".join(hosts), expect=3)
        self.decide("sesuai", "analis")
        self.rawat("resume", expect=3)
        self.decide("diperintahkan", "kabid")

    def finish(self) -> None:
        """Go on from the witness's gate to the archive."""
        for outcome, official in (("disaksikan", "analis"), ("sesuai", "pranata"), ("ditetapkan", "kabid")):
            self.decide(outcome, official)
            self.rawat("resume", expect=0 if outcome == "ditetapkan" else 3)

    # What is so ----------------------------------------------------------------------------------

    def boot(self) -> str:
        """Return the host's boot id, an empty string while it is away."""
        return self.field.ssh(self.name, "cat /proc/sys/kernel/random/boot_id", check=False).strip()

    def await_boot(self, before: str, seconds: float = 180) -> str:
        """Wait until the host is up in another boot, and return its id."""
        deadline = time.monotonic() + seconds
        while (now := self.boot()) in {"", before}:
            assert time.monotonic() < deadline, "the host did not restart"
            time.sleep(0.5)
        return now

    def journal(self) -> list[dict[str, Any]]:
        """Return the records of the one run, read from the host's disk without the host."""
        (path,) = self._in(f"{WORK}/runs").glob("*/journal.jsonl")
        return [json.loads(line) for line in path.read_bytes().rpartition(b"\n")[0].splitlines()]

    def await_record(self, seconds: float = 300, **fields: object) -> None:
        """Wait until a record with these fields is on the host's disk."""
        deadline = time.monotonic() + seconds
        while not any(fields.items() <= record.items() for record in self.journal()):
            assert time.monotonic() < deadline, f"{fields} did not come"
            time.sleep(0.02)

    def evidence(self, part: str) -> dict[str, Any]:
        """Return what the roles published of the host in a part of row 7."""
        (path,) = self._in(f"{WORK}/runs").glob(f"*/evidence/7-1-{part}/{self.name}.json")
        told: dict[str, Any] = json.loads(path.read_bytes())["results"]
        return told


def needed_by(files: Iterable[Path]) -> set[Path]:
    """Return the shared libraries that programs and libraries load."""
    shown = subprocess.run(["ldd", *map(str, files)], check=False, capture_output=True, text=True).stdout
    return {Path(path) for path in re.findall(r"=> (/\S+)", shown)}
