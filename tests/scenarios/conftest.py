"""Fixtures of the scenarios: officials with throw-away keys, and two offices, one per SOP."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runner import cli
from runner.engine import Closed
from runner.officials import Roster, load_roster
from runner.sop import parse_sop
from runner.workspace import RunFolder
from scenarios.office import Office

OFFICIALS = {
    "pengelola": ["Pengelola Sistem dan Jaringan", "Petugas Contoh"],
    "analis": ["Analis Sistem Informasi dan Jaringan"],
    "pranata": ["JF Pranata Komputer Ahli Muda"],
    "kabid": ["Kepala Bidang Teknologi dan Informatika", "Kepala Contoh"],
}


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a real ed25519 key per official, without passphrase, and one stranger's."""
    folder = tmp_path_factory.mktemp("keys")
    for name in (*OFFICIALS, "stranger"):
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(folder / name)]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return folder


@pytest.fixture(scope="session")
def roster(keys: Path) -> Roster:
    """Return the roster of the made-up office, read from a file as the program reads it."""
    lines = ["office: Dinas Contoh", "timezone: Asia/Jakarta", "officials:"]
    for number, (name, positions) in enumerate(OFFICIALS.items(), start=1):
        lines += [
            f"  - id: {name}",
            f"    name: Nama {name.title()}",
            f'    nip: "{number:018d}"',
            f"    positions: [{', '.join(positions)}]",
            f"    key: {name}.pub",
        ]
    file = keys / "officials.yml"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return load_roster(file)


MakeOffice = Callable[..., Office]
Command = Callable[..., str]


@pytest.fixture(scope="session")
def make_office(roster: Roster, keys: Path) -> MakeOffice:
    """Return a maker of offices: an empty tree that has what the SOP names."""

    def make(tree: Path, sop_file: Path, text: str | None = None, officials: Roster | None = None) -> Office:
        text = text or sop_file.read_text(encoding="utf-8")
        tree.mkdir(parents=True)
        for folder in ("playbooks", "report_templates", "inventory"):
            (tree / folder).mkdir()
        for step in parse_sop(text, sop_file.name).steps:
            for output in step.documents:
                (tree / "report_templates" / f"{output.document}.html.j2").touch()
            action = step.action
            recover = [o.recover for o in step.decision.outcomes if o.recover] if step.decision else []
            named = [action.playbook, action.proof] if action else []
            named += [action.cures.propose, action.cures.playbook] if action and action.cures else []
            for playbook in [*named, *(item.playbook for item in recover)]:
                if playbook:
                    (tree / "playbooks" / playbook).touch()
            for suite in [action.suite, action.waves.check if action.waves else None] if action else []:
                if suite:
                    (tree / "tests" / suite).mkdir(parents=True, exist_ok=True)
                    (tree / "tests" / suite / "conftest.py").touch()
        return Office(tree, officials or roster, keys, text, sop_file.name)

    return make


@pytest.fixture(autouse=True)
def _runs_in_the_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the runs of a test in its own tree, whatever the caller's environment says."""
    monkeypatch.delenv("RAWAT_RUNS", raising=False)
    monkeypatch.delenv("RAWAT_ARCHIVE", raising=False)


@pytest.fixture
def rawat(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Return what calls ``rawat`` with some words, expects its exit code and returns what it printed."""

    def call(*words: str, code: int = 0) -> str:
        monkeypatch.setattr("sys.argv", ["rawat", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        told = capsys.readouterr()
        assert (ended.value.code or 0) == code, told.out + told.err
        return " ".join((told.out + told.err).split())

    return call


@pytest.fixture(scope="session")
def quick_dir() -> Iterator[Path]:
    """Return a folder in memory: a run makes hundreds of fsyncs, and these tests make hundreds of runs."""
    with tempfile.TemporaryDirectory(dir="/dev/shm", prefix="rawat-test-") as folder:
        yield Path(folder)


@pytest.fixture
def contoh(quick_dir: Path, data: Path, make_office: MakeOffice) -> Office:
    """Return an office with the made-up SOP of four rows."""
    tree = Path(tempfile.mkdtemp(dir=quick_dir)) / "contoh"
    return make_office(tree, data / "contoh-pemeriksaan.yml")


@pytest.fixture
def surakarta(quick_dir: Path, root: Path, make_office: MakeOffice) -> Office:
    """Return an office with the SOP of Surakarta."""
    tree = Path(tempfile.mkdtemp(dir=quick_dir)) / "surakarta"
    return make_office(tree, root / "sops" / "surakarta-system-update.yml")


PALEMBANG = {"pengelola": ["Staf TI"], "kabid": ["Kasubbag Adum"], "pranata": ["Kuasa Pengguna Anggaran"]}
"""Whose keys the officials of the other office have, and their positions; the first operates."""


def palembang_roster(roster: Roster) -> Roster:
    """Return the same officials in the positions of the other office."""
    officials = [
        official.model_copy(update={"positions": PALEMBANG.get(official.id, ["Staf Lain"])})
        for official in roster.officials
    ]
    return roster.model_copy(update={"officials": officials})


@pytest.fixture
def palembang(quick_dir: Path, root: Path, make_office: MakeOffice, roster: Roster) -> Office:
    """Return an office with the SOP of Palembang."""
    tree = Path(tempfile.mkdtemp(dir=quick_dir)) / "palembang"
    sop = root / "sops" / "palembang-information-system-maintenance.yml"
    return make_office(tree, sop, officials=palembang_roster(roster))


SURAKARTA_APPROVED = {
    3: ["sesuai"],
    4: ["diperintahkan"],
    8: ["disaksikan"],
    10: ["sesuai"],
    11: ["ditetapkan"],
}


@pytest.fixture
def closed_run(surakarta: Office) -> RunFolder:
    """Return the folder of a whole run of the Surakarta SOP, every host ok, every gate passed at once."""
    folder = surakarta.start()
    closed = surakarta.go_on(folder, SURAKARTA_APPROVED)
    assert isinstance(closed, Closed)
    return folder
