"""Where things are. The only module that knows the tree's paths.

The root is the folder with ``sops/``, ``playbooks/`` and ``roles/``: the checkout this package is
installed from, or ``RAWAT_ROOT``.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from runner import errors
from runner.archive_key import key_beside
from runner.canonical import digest_of, sha256_hex
from runner.files import write_once
from runner.moves import roster_name, statement_name
from runner.sop import Available

ENVIRONMENT = ("RAWAT_ROOT", "RAWAT_RUNS", "RAWAT_ARCHIVE", "RAWAT_ARCHIVE_KEY", "RAWAT_ARCHIVE_SETTINGS")
"""The variables that say where things are instead of the checkout; each holds a path."""

OWN_TESTS = {"unit", "scenarios", "contracts", "conformance", "roles", "lab", "campaign"}
"""Folders beside the suites that try Rawat itself; no row can test a host with them."""


@dataclass(frozen=True)
class RunFolder:
    """The layout of ``runs/<run>/`` (docs/run-record.md), and of ``data/`` in its archive."""

    path: Path

    @property
    def name(self) -> str:
        """Return the run's id."""
        return self.path.name

    @property
    def journal(self) -> Path:
        """Return the path of the journal."""
        return self.path / "journal.jsonl"

    @property
    def sop(self) -> Path:
        """Return the SOP exactly as executed."""
        return self.path / "sop.yml"

    @property
    def officials(self) -> Path:
        """Return the roster as it was when the run started."""
        return self.path / "officials.json"

    @property
    def office(self) -> Path:
        """Return the settings of the office for its documents, as they were when the run started."""
        return self.path / "office.json"

    @property
    def trends(self) -> Path:
        """Return what sealed runs before this one came to."""
        return self.path / "trends.json"

    @property
    def allowed_signers(self) -> Path:
        """Return the officials' public keys in OpenSSH's form."""
        return self.path / "allowed_signers"

    @property
    def documents(self) -> Path:
        """Return the folder of the documents."""
        return self.path / "documents"

    @property
    def work(self) -> Path:
        """Return the scratch folder, which is never archived."""
        return self.path / ".work"

    def plan(self, step: int, attempt: int) -> Path:
        """Return the path of the plan that an attempt of a row made."""
        return self.path / "plans" / f"{step}-{attempt}.json"

    def differences(self, step: int, attempt: int, part: str) -> Path:
        """Return the path of what a reprobe found to differ from the plan."""
        return self.path / "plans" / f"{step}-{attempt}-{part}.json"

    def proposal(self, step: int, attempt: int) -> Path:
        """Return the path of what an attempt of a row found that can be cured, and what of it is allowed."""
        return self.path / "plans" / f"{step}-{attempt}-repairs.json"

    def evidence(self, step: int, attempt: int, part: str) -> Path:
        """Return the folder of a part's evidence, one file per host."""
        return self.path / "evidence" / f"{step}-{attempt}-{part}"

    def statement(self, step: int, attempt: int, number: int = 1) -> Path:
        """Return the path of a statement signed at a gate; ``number`` counts those of one gate."""
        return self.path / "decisions" / f"{statement_name(step, attempt, number)}.json"

    def break_statement(self, number: int) -> Path:
        """Return the path of the statement by which the run's lock was broken for the ``number``-th time."""
        return self.path / "decisions" / f"break-{number}.json"

    def changed_roster(self, number: int) -> Path:
        """Return the path of the roster that holds since it was changed for the ``number``-th time."""
        return self.path / f"{roster_name(number)}.json"

    def changed_signers(self, number: int) -> Path:
        """Return the path of that roster's keys in OpenSSH's form."""
        return self.path / f"{roster_name(number)}.signers"

    def roster_statement(self, number: int) -> Path:
        """Return the path of the statement by which the roster was changed for the ``number``-th time."""
        return self.path / "decisions" / f"roster-{number}.json"

    def relative(self, path: Path) -> str:
        """Return ``path`` as the journal names it."""
        return path.relative_to(self.path).as_posix()

    def write(self, path: Path, data: bytes) -> dict[str, str]:
        """Write a file of the record once and return it as records name it, by ``path`` and ``sha256``.

        Raises:
            CannotRecordError: when the disk did not take it.
        """
        return {"path": self.relative(write_once(path, data)), "sha256": sha256_hex(data)}

    def read(self, named: Mapping[str, str]) -> bytes:
        """Return a file as a record of the journal names it, by ``path`` and ``sha256``.

        Raises:
            VerificationError: when it cannot be read or is another one.
        """
        try:
            data = (self.path / named["path"]).read_bytes()
        except OSError as error:
            raise errors.VerificationError(named["path"], error.strerror or "cannot be read") from error
        if sha256_hex(data) != named["sha256"]:
            raise errors.VerificationError(named["path"], "is not the file that the journal names")
        return data


@dataclass(frozen=True)
class Workspace:
    """The tree of a checkout."""

    root: Path

    @property
    def sops(self) -> Path:
        """Return the folder of the SOPs."""
        return self.root / "sops"

    @property
    def playbooks(self) -> Path:
        """Return the folder of the playbooks."""
        return self.root / "playbooks"

    @property
    def suites(self) -> Path:
        """Return the folder in which the testinfra suites stand."""
        return self.root / "tests"

    @property
    def runs(self) -> Path:
        """Return the folder of the runs."""
        return Path(os.environ.get("RAWAT_RUNS", self.root / "runs"))

    @property
    def archive(self) -> Path:
        """Return the folder of the sealed archives."""
        return Path(os.environ.get("RAWAT_ARCHIVE", self.root / "archive"))

    @property
    def archive_key(self) -> Path:
        """Return the archive's own key, which signs the register and every bag."""
        return Path(os.environ.get("RAWAT_ARCHIVE_KEY", key_beside(self.archive)))

    @property
    def archive_settings(self) -> Path:
        """Return the office's settings of its archive; there need be none."""
        return Path(os.environ.get("RAWAT_ARCHIVE_SETTINGS", self.root / "archive.yml"))

    def available(self) -> Available:
        """Return what a SOP may name."""
        return Available(
            playbooks=frozenset(path.name for path in self.playbooks.glob("*.yml")),
            suites=frozenset(
                path.parent.name
                for path in self.suites.glob("*/conftest.py")
                if path.parent.name not in OWN_TESTS
            ),
            documents=frozenset(
                path.name.removesuffix(".html.j2")
                for path in (self.root / "report_templates").glob("*.html.j2")
                if not path.name.startswith(("base.", "sop.", "_"))
            ),
        )

    def require_safe_place(self) -> None:
        """Refuse to act on hosts from where anybody of this machine may have put a plugin or a role.

        Raises:
            InputError: when the current folder, the checkout or its code can be written by everybody.
        """
        names = ("ansible.cfg", "playbooks", "report_templates", "roles", "runner", "tests")
        code = [self.root / name for name in names]
        inside = (path for top in code for path in (top, *top.rglob("*")))
        for path in (Path.cwd(), self.root, *inside):
            if path.exists() and not path.is_symlink() and path.stat().st_mode & stat.S_IWOTH:
                raise errors.InputError(
                    f"{path} can be written by everybody of this machine, so what is in it is not trusted",
                    hint=f"work from a folder of your own; for the checkout: chmod -R o-w {self.root}",
                )

    def roles_digest(self) -> str:
        """Return one SHA-256 over what acts on hosts and tests them, ansible.cfg and suites included."""
        suites = sorted(f"tests/{name}" for name in self.available().suites)
        return _digest_of_files(self.root, ("ansible.cfg", "playbooks", "roles", *suites))

    def templates_digest(self) -> str:
        """Return one SHA-256 over the templates of the documents."""
        return _digest_of_files(self.root, ("report_templates",))

    def run_folders(self) -> list[RunFolder]:
        """Return the folders of all runs that have a journal, in the order of their names."""
        return [RunFolder(path.parent) for path in self._journals()]

    @property
    def hosts_lock(self) -> Path:
        """Return the file that is locked while a run takes its hosts."""
        return self.runs / ".hosts.lock"

    def notices(self, run: RunFolder) -> Path:
        """Return where it is remembered who was told of a run's gates; no part of its record."""
        return self.runs / ".notices" / f"{run.name}.jsonl"

    def run_folder(self, run: str | None) -> RunFolder:
        """Return the folder of ``run`` (an id or a path), or of the newest run when it is None.

        Raises:
            InputError: when there is no such run.
        """
        if run is None:
            return self._newest()
        if not run.strip():
            raise errors.InputError("the run is empty", hint="name a run, or leave it out for the newest")
        for path in (self.runs / run, Path(run)):
            if _is_begun(path / "journal.jsonl"):
                return RunFolder(path.resolve())
            # Of any other folder nothing is known, least of all that it may go.
            if path.is_dir() and path.resolve().parent == self.runs.resolve():
                raise errors.InputError(
                    f"run {path.name} was cut off before its first record: nothing was begun",
                    hint="start it anew with 'rawat run'; this folder can be removed",
                )
        raise errors.InputError(
            f"there is no run {run!r} in {self.runs}", hint="'rawat status' names the newest"
        )

    def _newest(self) -> RunFolder:
        journals = [path for path in self._journals() if _is_begun(path)]
        if not journals:
            raise errors.InputError(f"there is no run in {self.runs}", hint="start one with 'rawat run'")
        return RunFolder(max(journals, key=lambda path: path.stat().st_mtime).parent.resolve())

    def _journals(self) -> list[Path]:
        """Return the journals of all runs; one that cannot be looked at is an error, and not left out."""
        if not self.runs.exists():
            return []
        try:
            with os.scandir(self.runs) as found:
                folders = sorted(entry.path for entry in found if entry.is_dir())
            journals = [Path(folder) / "journal.jsonl" for folder in folders]
            return [path for path in journals if _is_there(path)]
        except OSError as error:
            raise errors.InputError(
                f"{error.filename}: cannot be read: {error.strerror}, so it is not known which runs are open",
                hint="work as the account that has run Rawat here before, or give this one the right to read",
            ) from error


def _is_there(path: Path) -> bool:
    """Tell whether there is such a file; unlike ``Path.exists`` not when it may not be known."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _is_begun(journal: Path) -> bool:
    """Whether a journal holds its first record; a run killed before that never was."""
    if not journal.is_file():
        return False
    with journal.open("rb") as stream:
        return stream.readline().endswith(b"\n")


def _digest_of_files(root: Path, names: tuple[str, ...]) -> str:
    found = {
        path.relative_to(root).as_posix(): sha256_hex(path.read_bytes())
        for name in names
        for path in (root / name, *(root / name).rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }
    return digest_of(found)


def find_workspace() -> Workspace:
    """Return the workspace this program works in.

    Raises:
        InputError: when the tree cannot be found.
    """
    root = Path(os.environ.get("RAWAT_ROOT", Path(__file__).parent.parent)).resolve()
    if not (root / "playbooks").is_dir():
        raise errors.InputError(
            f"{root} is not a checkout of Rawat: it has no playbooks/",
            hint="set RAWAT_ROOT to the folder that holds sops/, playbooks/ and roles/",
        )
    return Workspace(root)
