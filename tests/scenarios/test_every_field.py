"""Each field of every statement altered in turn, and signed again by its own signer: refused, every time.

The fields are taken from the statements themselves, so that a new field is tested from the day it is there.
"""

from __future__ import annotations

import copy
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runner import errors, verify
from runner.canonical import canonical_json
from runner.decisions import Paper
from runner.engine import Waiting
from runner.gates import Choice
from runner.officials import Deputy
from runner.workspace import RunFolder
from scenarios.forgery import forge
from scenarios.office import Office

Way = tuple[str, ...]
PLH = {
    "official": "analis",
    "position": "Kepala Contoh",
    "kind": "Plh",
    "from": "2026-11-01",
    "until": "2026-11-30",
    "letter": "800/12/2026",
}


def fields(said: Any, way: Way = ()) -> Iterator[Way]:  # noqa: ANN401 - any JSON
    """Yield the way to every field of a statement, those within others too."""
    for name, value in said.items():
        yield (*way, name)
        if isinstance(value, dict):
            yield from fields(value, (*way, name))


def others(value: Any) -> Iterator[Any]:  # noqa: ANN401 - any JSON
    """Yield what could stand in a field instead: of its own kind, of another, and nothing."""
    match value:
        case int():
            yield from (value + 1, value - 1, str(value))
        case str():
            yield from (value + "0", value[:-1] if value else "x", value.swapcase() + "x", 1)
            if value.endswith("Z"):
                yield from (value.replace("2026", "2027"), value.replace("2026", "2025"))
        case dict():
            yield from ({}, [value], {**value, "new": 1})
        case None:
            yield from ("", {}, 0)
    if value is not None:
        yield None


def altered(said: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a statement for everything that can be altered in one of its fields."""
    for way in fields(said):
        *within, last = way
        for value in [*others(_at(said, way)), "leave it out"]:
            changed = copy.deepcopy(said)
            place = _at(changed, tuple(within))
            if value == "leave it out":
                del place[last]
            else:
                place[last] = value
            if changed != said:
                yield f"{'.'.join(way)} = {value!r}", changed
    yield "a field more", {**said, "new": "x"}


def _at(said: Any, way: Way) -> Any:  # noqa: ANN401 - any JSON
    for name in way:
        said = said[name]
    return said


def waiting(office: Office, host: str) -> RunFolder:
    """Return a run at its gate, over a host of its own: an open run holds its hosts."""
    office.hosts = (host,)
    folder = office.start()
    assert isinstance(office.go_on(folder, {}), Waiting)
    return folder


@pytest.fixture
def runs(contoh: Office, tmp_path: Path) -> list[RunFolder]:
    """Return runs with every kind of statement: of an official, of a deputy, and of a paper."""
    contoh.roster = contoh.roster.model_copy(update={"deputies": [Deputy.model_validate(PLH)]})
    own, deputised, paper, withdrawn = (waiting(contoh, host) for host in ("web1", "db1", "file1", "web2"))
    contoh.decide(own, "disetujui", "kabid")
    contoh.decide(deputised, "periksa ulang", "analis")
    scan = tmp_path / "scan.pdf"
    scan.write_bytes(b"%PDF-1.7")
    for folder in (paper, withdrawn):
        entry = Choice("kabid", "disetujui", "Alasan contoh"), Paper(scan, "pengelola")
        contoh.engine(folder).decisions.enter(*entry, contoh.key("pengelola"))
    contoh.engine(paper).decisions.confirm("pranata", contoh.key("pranata"))
    contoh.engine(withdrawn).decisions.withdraw("analis", "Salah lembar", contoh.key("analis"))
    return [own, deputised, paper, withdrawn]


def sign(statement: Path, key: Path) -> None:
    statement.with_name(f"{statement.name}.sig").unlink()
    command = ["ssh-keygen", "-q", "-Y", "sign", "-n", "rawat-decision", "-f", str(key), str(statement)]
    subprocess.run(command, check=True, capture_output=True)


def refusals(office: Office, runs: list[RunFolder], scratch: Path, step: int = 1) -> dict[str, int]:
    """Alter every ``step``-th of all that can be altered, require that it is refused, and count by kind."""
    tried: dict[str, int] = {}
    for run in runs:
        verify.check_run(run)
        for statement in sorted((run.path / "decisions").glob("*.json")):
            said = json.loads(statement.read_bytes())
            for what, changed in list(altered(said))[::step]:
                copied = Path(shutil.copytree(run.path, scratch / "altered" / run.name))
                place = copied / "decisions" / statement.name
                place.write_bytes(canonical_json(changed))
                sign(place, office.key(said["signer"]))
                forge(copied, lambda _records: None)
                with pytest.raises(errors.VerificationError) as caught:
                    verify.check_run(RunFolder(copied))
                assert caught.value.path.startswith(("decisions/", "journal.jsonl")), what
                tried[said["kind"]] = tried.get(said["kind"], 0) + 1
                shutil.rmtree(copied)
    print("altered and refused:", ", ".join(f"{count} of a {kind}" for kind, count in tried.items()))
    assert set(tried) == {"decision", "paper-entry", "paper-confirmation", "paper-withdrawal"}
    return tried


# The campaign alters all of it; here every seventeenth, which is about every fourth field.
def test_no_field_of_any_statement_can_be_altered(
    contoh: Office, runs: list[RunFolder], quick_dir: Path
) -> None:
    assert min(refusals(contoh, runs, quick_dir, step=17).values()) > 10


@pytest.mark.campaign
@pytest.mark.timeout(1200)
def test_no_field_of_any_statement_can_be_altered_in_any_way(
    contoh: Office, runs: list[RunFolder], quick_dir: Path
) -> None:
    assert min(refusals(contoh, runs, quick_dir).values()) > 100
