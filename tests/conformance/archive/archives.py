"""A small archive to attack, as an office would have it, and the means of those who attack it."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from scenarios.forgery import chained, forge, read_journal, rebag, sha256
from unit.record_builder import make_closed_run, make_keys, make_office

from runner import archive, archive_key, bag, checkpoints, dispositions, journal, register
from runner.canonical import canonical_json
from runner.officials import load_roster
from runner.retention import Due, Parties

REGISTER, HEAD, SIGNERS = register.NAME, register.HEAD, register.SIGNERS
TAG_MANIFEST = bag.TAG_MANIFEST
OUTSIDE = "outside"
"""The folder of what an auditor keeps elsewhere: checkpoints, public keys of archive and officials."""
OFFICIALS = "pejabat.signers"


@dataclass
class Attacked:
    """A copy of the archive for one case; what stands under ``outside`` no attacker reaches."""

    base: Path
    target: str = "bag"
    """What is judged: ``bag`` the first in its archive, ``newest``, ``alone`` a bag copied away, ``all``."""
    checkpoints: tuple[str, ...] = ()
    signers: bool = False
    officials: bool = False
    printed: tuple[str, ...] = ()
    """Whose footers on paper it is held against, by the name of the checkpoint of that moment."""
    places: dict[str, Path] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        return self.base / "archive"

    @property
    def register(self) -> Path:
        return self.root / REGISTER

    @property
    def bag(self) -> Path:
        """Return the bag that the case is about: the first, or the newest."""
        found = sorted(path for path in self.root.glob("2026/*") if not path.is_symlink())
        return found[-1] if self.target == "newest" else found[0]

    @property
    def newest(self) -> Path:
        return max(self.root.glob("2026/*"))

    @property
    def outside(self) -> Path:
        return self.base / OUTSIDE

    @property
    def papers(self) -> list[str]:
        """Return what the footers on paper say of the register."""
        return [(self.outside / f"{name}.printed").read_text().strip() for name in self.printed]

    @property
    def judged(self) -> Path:
        """Return what both judges are asked about."""
        if self.target == "alone":
            if self.places.get("bag", self.bag).is_symlink():
                return self.places["bag"]
            away = self.base / "stick" / "a" / "b"
            shutil.copytree(self.places.get("bag", self.bag), away / "bag", symlinks=True)
            return away / "bag"
        return self.root if self.target == "all" else self.places.get("bag", self.bag)

    # What an attacker does -------------------------------------------------------------------------

    def edit(self, path: str, old: bytes, new: bytes) -> None:
        file = self.bag / path
        data = file.read_bytes()
        assert old in data, f"{old!r} is not in {path}"
        file.write_bytes(data.replace(old, new, 1))

    def lines(self, path: Path, change: Callable[[list[bytes]], None]) -> None:
        lines = path.read_bytes().splitlines(keepends=True)
        change(lines)
        path.write_bytes(b"".join(lines))

    def rebag(self) -> None:
        """Make the manifests of the bag fit what is in it: anybody can."""
        rebag(self.bag)

    def reseal(self, key: Path) -> None:
        """Make the bag, the register and its head fit, and sign them with ``key``."""
        rebag(self.bag)
        head = sha256((self.bag / "data" / "journal.jsonl").read_bytes().splitlines(keepends=True)[-1])
        manifest = (self.bag / TAG_MANIFEST).read_bytes()
        (self.bag / bag.SIGNATURE).write_bytes(archive_key.sign(manifest, key))

        def fit(records: list[dict[str, Any]]) -> None:
            for record in records:
                if record.get("run") == self.bag.name:
                    record |= {"tagmanifest_sha256": sha256(manifest), "journal_head": head}

        self.rewrite_register(key, fit)

    def rewrite_register(self, key: Path, change: Callable[[list[dict[str, Any]]], None]) -> None:
        """Change records of the register, make its chain fit, and sign its head with ``key``."""
        records = [json.loads(line) for line in self.register.read_bytes().splitlines()]
        change(records)
        prev, lines = "0" * 64, []
        for number, record in enumerate(records, start=1):
            lines.append(canonical_json({**record, "no": number, "prev": prev}))
            prev = sha256(lines[-1])
        self.register.write_bytes(b"".join(lines))
        self.sign_head(key)

    def sign_head(self, key: Path) -> None:
        lines = [json.loads(line) for line in self.register.read_bytes().splitlines()]
        signers = (self.root / SIGNERS).read_bytes()
        said = canonical_json(
            {
                "archive": {
                    "head": sha256(self.register.read_bytes().splitlines(keepends=True)[-1]),
                    "records": len(lines),
                },
                "at": lines[-1].get("sealed_at") or lines[-1].get("at"),
                "format": 1,
                "kind": "rawat-checkpoint",
                "run": None,
                "signers": sha256(signers),
            }
        )
        (self.root / HEAD).write_bytes(said + archive_key.sign(said, key))

    def destroy(self, run: str, officials: Path | None = None) -> Path:
        """Let two officials decide that the content of a run goes; return the folder of their papers.

        ``officials`` is a folder with their roster and keys, the office's own without it.
        """
        keys = officials or self.officials_keys
        roster = load_roster(keys / "officials.yml")
        lines = register.parse(self.register.read_bytes())
        entry = next(entry for entry in register.sealed(lines) if entry.run == run)
        due = Due(run, entry.tagmanifest_sha256, date(2026, 1, 1), ("musnah", "simpan"), "JRA")
        parties = Parties(
            roster.named("kepala"), roster.named("petugas"), ("Kepala Contoh", "Petugas Contoh")
        )
        signing = (keys / "kepala", keys / "petugas")
        decision = dispositions.Decision("musnah", [due], parties, signing, "Jangka simpan berakhir")
        now = datetime(2027, 1, 1, tzinfo=UTC)
        minutes = {"berita-acara.html": b"<p>Berita Acara</p>"}
        made = dispositions.decide(self.root, self.stolen_key, decision, now, lambda _: minutes)
        dispositions.finish(self.root, self.stolen_key, now)
        return self.root / dispositions.FOLDER / str(made.no)

    def forge(self, change: Callable[[list[dict[str, Any]]], None]) -> None:
        """Change records of the journal, every hash made to fit again."""
        forge(self.bag / "data", change)

    @property
    def stolen_key(self) -> Path:
        return self.base / "key" / "ed25519"

    @property
    def officials_keys(self) -> Path:
        return self.base / "officials"

    def strangers_key(self) -> Path:
        return archive_key.require_key(self.base / "stranger" / "ed25519")

    def make_own(self, key: Path) -> None:
        """Put a stranger's key in the place of the archive's everywhere, and sign all with it."""
        line = archive_key.signers_line(key)
        (self.root / SIGNERS).write_bytes(line)
        for found in sorted(self.root.glob("2026/*")):
            (found / bag.SIGNERS).write_bytes(line)
            rebag(found)
            manifest = (found / TAG_MANIFEST).read_bytes()
            (found / bag.SIGNATURE).write_bytes(archive_key.sign(manifest, key))
        digests = {p.name: sha256((p / TAG_MANIFEST).read_bytes()) for p in self.root.glob("2026/*")}
        self.rewrite_register(
            key, lambda records: [r.update(tagmanifest_sha256=digests[r["run"]]) for r in records] and None
        )

    def sign_statement(self, path: Path, key: Path) -> None:
        """Sign a statement anew with an official's key."""
        signature = path.with_name(f"{path.name}.sig")
        signature.unlink()
        command = [
            "ssh-keygen",
            "-q",
            "-Y",
            "sign",
            "-n",
            "rawat-decision",
            "-f",
            str(key),
        ]
        subprocess.run([*command, str(path)], check=True, capture_output=True)


def make_archive(base: Path) -> Path:
    """Build an archive of two runs, with the checkpoints that left the machine meanwhile; return ``base``."""
    keys = make_keys(base / "officials")
    office = make_office(base / "tree", keys)
    root, key, outside = base / "archive", base / "key" / "ed25519", base / OUTSIDE
    office.register_head = lambda known: register.signed_head(root, known)
    outside.mkdir()
    known_officials = [official.signers_line("rawat-*") for official in office.roster.officials]
    (outside / OFFICIALS).write_bytes(b"".join(known_officials))

    def leave(name: str, *events: journal.Event) -> None:
        _, data, signers = checkpoints.made(root, key, events)
        (outside / f"{name}.checkpoint").write_bytes(data)
        (outside / SIGNERS).write_bytes(signers)
        known = json.loads(data.splitlines()[0])["archive"]
        (outside / f"{name}.printed").write_text(f"{known['records']}:{known['head'][:16]}\n")

    first = make_closed_run(office)
    archive.seal(first, root, key)
    leave("first")
    shutil.copytree(root, base / "earlier")
    second = make_closed_run(office)
    events = tuple(journal.read(second.journal))
    gate = next(number for number, event in enumerate(events, start=1) if event.name == "gate_opened")
    leave("gate", *events[:gate])
    archive.seal(second, root, key)
    leave("newest")
    shutil.rmtree(base / "tree")
    return base


__all__ = ["Attacked", "chained", "make_archive", "read_journal"]
