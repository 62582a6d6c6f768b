"""Whatever is changed in a run, an archive or the register is found, and named.

Three kinds of hands: a failing disk (bits), somebody who moves files about, and somebody who knows the
format and makes every hash fit again, but has neither the officials' keys nor the register.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fakes import START, FakeArchive
from unit.record_builder import make_closed_run, make_keys
from unit.record_builder import make_office as make_small_office

from runner import archive, errors, journal, record, verify
from runner.clock import format_utc
from runner.engine import Closed
from runner.events import SHAPES, files_of
from runner.officials import Deputy, load_roster
from runner.replay import Replayed, replay
from runner.workspace import RunFolder
from scenarios.conftest import MakeOffice
from scenarios.forgery import Record, chained, find, forge, read_journal, rebag, sha256
from scenarios.office import Office

TAG_MANIFEST = "tagmanifest-sha256.txt"
REGISTER = "register.jsonl"


def wrong(path: Path) -> str:
    """Return what verifying names as the first thing that is wrong."""
    with pytest.raises(errors.VerificationError) as caught:
        verify.verify(path)
    assert caught.value.path.isprintable()
    return caught.value.path


def file_of(named: str) -> str:
    return named.rpartition(":")[0] or named


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# Bits ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an archive of two small runs."""
    base = tmp_path_factory.mktemp("small")
    office = make_small_office(base / "tree", make_keys(base / "keys"))
    for _ in range(2):
        archive.seal(make_closed_run(office), base / "archive")
    return base / "archive"


@pytest.fixture
def root(small_root: Path, tmp_path: Path) -> Path:
    """Return a copy of the small archive that a test may change."""
    return Path(shutil.copytree(small_root, tmp_path / "archive"))


@pytest.fixture
def bagged(root: Path) -> Path:
    """Return the first bag of the copy."""
    return min(root.glob("2026/*"))


@pytest.fixture
def newest(root: Path) -> Path:
    """Return the bag that the register's last line names."""
    return max(root.glob("2026/*"))


@pytest.fixture
def alone(bagged: Path, tmp_path: Path) -> Path:
    """Return a bag that was copied away without its register."""
    return Path(shutil.copytree(bagged, tmp_path / "stick" / "arsip" / "bag"))


def flipped(path: Path, places: Callable[[int], set[int]]) -> Iterator[int]:
    """Flip one bit of a file at a time and set it right again."""
    data = path.read_bytes()
    for place in sorted(places(len(data))):
        changed = bytearray(data)
        changed[place] ^= 1 << (place % 8)
        path.write_bytes(changed)
        yield place
        path.write_bytes(data)


def ends_and_middle(size: int) -> set[int]:
    return {0, size // 2, size - 1} if size else set()


def here_and_there(size: int) -> set[int]:
    return set(range(5, size, max(1, size // 6)))


@pytest.mark.parametrize("places", [ends_and_middle, here_and_there])
def test_a_flipped_bit_in_any_file_of_an_archive_names_that_file(
    bagged: Path, places: Callable[[int], set[int]]
) -> None:
    for path in files_in(bagged):
        for place in flipped(bagged / path, places):
            assert path == file_of(wrong(bagged)), f"byte {place} of {path}"
    verify.verify(bagged)


@pytest.mark.parametrize("places", [ends_and_middle, here_and_there])
def test_so_it_does_without_the_register(alone: Path, places: Callable[[int], set[int]]) -> None:
    for path in files_in(alone):
        for place in flipped(alone / path, places):
            assert path == file_of(wrong(alone)), f"byte {place} of {path}"
    assert not verify.verify(alone).registered


def test_without_the_register_a_damaged_tag_manifest_is_named_with_the_file_it_contradicts(
    alone: Path,
) -> None:
    text = (alone / TAG_MANIFEST).read_text()
    for line in text.splitlines():
        other = ("0" if line[0] != "0" else "1") + line[1:]
        (alone / TAG_MANIFEST).write_text(text.replace(line, other))
        with pytest.raises(errors.VerificationError) as caught:
            verify.verify(alone)
        assert (TAG_MANIFEST, f"contradicts {line[66:]}") == (caught.value.path, caught.value.problem)


def test_a_flipped_bit_in_the_register_names_its_line(root: Path, bagged: Path, newest: Path) -> None:
    register = root / REGISTER
    lines = register.read_bytes().splitlines(keepends=True)
    for place in flipped(register, lambda size: {0, *range(3, size, 17), size - 1}):
        # A changed first line shows at the second, which no longer follows from it; both are told.
        expected = {f"{REGISTER}:1", f"{REGISTER}:2"} if place < len(lines[0]) else {f"{REGISTER}:2"}
        for path in (bagged, newest):
            assert wrong(path) in expected, f"byte {place}"
    assert verify.verify(bagged).registered


def test_a_flipped_bit_in_any_recorded_file_of_a_run_names_that_file(
    small_root: Path, tmp_path: Path
) -> None:
    bagged = min(small_root.glob("2026/*"))
    run = Path(shutil.copytree(bagged / "data", tmp_path / bagged.name))
    for path in files_in(run):
        # Without a register nothing tells that the very last record of a journal is another one.
        for place in flipped(run / path, lambda size: {0, size // 2, size - 1}):
            assert path == file_of(wrong(run)), f"byte {place} of {path}"
    assert verify.verify(run).kind == "run"


# Files ---------------------------------------------------------------------------------------------


def test_a_file_taken_out_of_an_archive_is_named(bagged: Path, tmp_path: Path) -> None:
    for path in files_in(bagged):
        (bagged / path).rename(tmp_path / "away")
        assert path == wrong(bagged)
        (tmp_path / "away").rename(bagged / path)


def test_a_renamed_file_is_named(bagged: Path) -> None:
    for path in files_in(bagged):
        other = path + "x"
        (bagged / path).rename(bagged / other)
        assert wrong(bagged) in {path, other}
        (bagged / other).rename(bagged / path)


@pytest.mark.parametrize(
    "path",
    ["x", "data/x", "data/.x", "data/evidence/1-1-1/x.json", "data/.work/x", "metadata/x", "fetch.txt", "~"],
)
def test_a_file_put_into_an_archive_is_named(bagged: Path, path: str) -> None:
    (bagged / path).parent.mkdir(exist_ok=True)
    (bagged / path).write_bytes(b"")
    assert path == wrong(bagged)


@pytest.mark.parametrize("path", ["x", "data/x", "data/.work"])
def test_an_empty_folder_put_into_an_archive_is_named(bagged: Path, path: str) -> None:
    (bagged / path).mkdir()
    assert path == wrong(bagged)


def test_a_file_put_into_a_run_is_named(small_run: Path) -> None:
    for path in ("x", "evidence/1-1-1/x.json", "decisions/2-2.json", "plans/.1-1.json.partial", "data"):
        (small_run / path).write_bytes(b"")
        assert path == wrong(small_run)
        (small_run / path).unlink()


@pytest.mark.parametrize("path", ["bagit.txt", "data/sop.yml", "data/plans/1-1.json", TAG_MANIFEST])
def test_a_link_to_the_very_same_content_is_refused(bagged: Path, tmp_path: Path, path: str) -> None:
    (bagged / path).rename(tmp_path / "elsewhere")
    (bagged / path).symlink_to(tmp_path / "elsewhere")
    assert path == wrong(bagged)


def test_a_folder_replaced_by_a_link_is_refused(bagged: Path, tmp_path: Path) -> None:
    (bagged / "data" / "plans").rename(tmp_path / "plans")
    (bagged / "data" / "plans").symlink_to(tmp_path / "plans")
    assert wrong(bagged) == "data/plans"


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../../../../etc/passwd", "data/../../x", "data//x", "./data/x"]
)
def test_a_manifest_that_leads_out_of_the_bag_reads_nothing_there(alone: Path, path: str) -> None:
    manifest = alone / "manifest-sha256.txt"
    lines = [*manifest.read_text().splitlines(), f"{'0' * 64}  {path}"]
    manifest.write_text("".join(f"{line}\n" for line in sorted(lines, key=lambda line: line[66:])))
    tags = (alone / TAG_MANIFEST).read_text().splitlines()
    tags[3] = f"{sha256(manifest.read_bytes())}  manifest-sha256.txt"
    (alone / TAG_MANIFEST).write_text("".join(f"{line}\n" for line in tags))
    assert path == wrong(alone)


def test_a_folder_that_is_neither_run_nor_archive_is_wrong_use(tmp_path: Path) -> None:
    with pytest.raises(errors.InputError, match="neither a run nor an archive"):
        verify.verify(tmp_path)
    with pytest.raises(errors.InputError, match="cannot be read"):
        verify.verify(tmp_path / "missing")


# The register --------------------------------------------------------------------------------------


def test_an_older_copy_of_the_register_does_not_name_the_newest_archive(root: Path, newest: Path) -> None:
    lines = (root / REGISTER).read_bytes().splitlines(keepends=True)
    (root / REGISTER).write_bytes(lines[0])
    assert wrong(newest) == REGISTER


@pytest.mark.parametrize("kept", [[1], [1, 0], [0, 0], [0, 1, 0]])
def test_register_lines_dropped_swapped_or_doubled_are_named(
    root: Path, bagged: Path, kept: list[int]
) -> None:
    lines = (root / REGISTER).read_bytes().splitlines(keepends=True)
    (root / REGISTER).write_bytes(b"".join(lines[number] for number in kept))
    assert f"{REGISTER}:{1 if kept[0] else len(kept)}" == wrong(bagged)


def test_an_archive_at_another_place_is_not_the_one_in_the_register(bagged: Path) -> None:
    moved = bagged.rename(bagged.with_name("2026-01-01-contoh-arsip-9"))
    assert wrong(moved) == REGISTER


def test_one_archive_in_the_place_of_another_is_found(bagged: Path, newest: Path) -> None:
    shutil.rmtree(bagged)
    shutil.copytree(newest, bagged)
    assert wrong(bagged) == TAG_MANIFEST


def test_damage_in_one_archive_is_not_laid_on_another(bagged: Path, newest: Path) -> None:
    for path in ("data/journal.jsonl", TAG_MANIFEST, "data/sop.yml"):
        for _ in flipped(newest / path, lambda size: {size - 2}):
            assert verify.verify(bagged).registered


def test_an_archive_rewritten_with_fitting_manifests_is_found_by_the_register(bagged: Path) -> None:
    forge(bagged / "data", lambda records: records[0]["versions"].update(rawat="9.9"))
    info = (bagged / "bag-info.txt").read_text()
    (bagged / "bag-info.txt").write_text(info.replace("Rawat-Version: 0.1.0", "Rawat-Version: 9.9"))
    rebag(bagged)
    assert wrong(bagged) == TAG_MANIFEST
    (bagged.parent.parent / REGISTER).unlink()
    # Without the register, too: the archive's signature on the manifest cannot be made anew.
    assert wrong(bagged) == f"{TAG_MANIFEST}.sig"


def test_a_cut_off_last_record_is_found_in_the_archive(bagged: Path) -> None:
    journal = bagged / "data" / "journal.jsonl"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:-1]))
    assert wrong(bagged) == "data/journal.jsonl"
    rebag(bagged)
    assert wrong(bagged) == TAG_MANIFEST or wrong(bagged) == "data/journal.jsonl"


# Records that fit, by somebody who knows the format ------------------------------------------------------


@pytest.fixture
def small_run(small_root: Path, tmp_path: Path) -> Path:
    """Return a run folder that a test may change."""
    bagged = min(small_root.glob("2026/*"))
    return Path(shutil.copytree(bagged / "data", tmp_path / "runs" / bagged.name))


class RealArchive(FakeArchive):
    """The archive as the program has it, in the fake's place."""

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.root = root

    def check_run(self, folder: RunFolder) -> None:
        verify.check_run(folder)

    def seal(self, folder: RunFolder) -> Path:
        return archive.seal(folder, self.root)


@pytest.fixture(scope="module")
def long_office(
    tmp_path_factory: pytest.TempPathFactory, root_of_checkout: Path, make_office: MakeOffice
) -> Office:
    tree = tmp_path_factory.mktemp("long") / "surakarta"
    office = make_office(tree, root_of_checkout / "sops" / "surakarta-system-update.yml")
    office.playbooks.answer(2, "1", {"file1": "unreachable"})
    office.suites.answer(8, "1", {"web2": "failed"})
    return office


@pytest.fixture(scope="module")
def root_of_checkout() -> Path:
    return Path(__file__).parents[2]


PLH = {
    "official": "analis",
    "position": "Kepala Bidang Teknologi dan Informatika",
    "kind": "Plh",
    "from": "2026-11-21",
    "until": "2026-11-23",
    "letter": "800/12/2026",
}


@pytest.fixture(scope="module")
def long_run(long_office: Office) -> RunFolder:
    """Return a run of the Surakarta SOP that was sent back, lost hosts, rolled back, and sealed for real.

    While it waited at its first gate a deputy was named for the official of a later one.
    """
    office = long_office
    folder = office.start(failure_budget=1)
    office.archive = RealArchive(office.root / "archive")
    office.go_on(folder, {})
    deputies = [Deputy.model_validate(PLH)]
    office.change_roster(folder, office.roster.model_copy(update={"deputies": deputies}))
    decisions = {
        3: ["belum", "sesuai"],
        4: ["diperintahkan"],
        8: ["disaksikan"],
        10: ["sesuai"],
        11: ["ditetapkan"],
    }
    closed = office.go_on(folder, decisions)
    assert isinstance(closed, Closed)
    assert closed.archive == office.root / "archive" / "2026" / folder.name
    return folder


@pytest.fixture
def forged(long_run: RunFolder, tmp_path: Path) -> Path:
    """Return a copy of the long run, to be forged."""
    return Path(shutil.copytree(long_run.path, tmp_path / "runs" / long_run.name))


def test_a_whole_run_and_its_archive_hold(long_run: RunFolder, long_office: Office) -> None:
    records = len(read_journal(long_run.path))
    found = verify.verify(long_run.path)
    sealed = verify.verify(long_office.root / "archive" / "2026" / long_run.name)

    assert ("run", long_run.name, records, 6) == (found.kind, found.run, found.records, found.decisions)
    assert ("archive", long_run.name, records, 6) == (
        sealed.kind,
        sealed.run,
        sealed.records,
        sealed.decisions,
    )
    assert (found.files + 9, True) == (sealed.files, sealed.registered)


def test_every_beginning_of_a_run_holds(long_run: RunFolder, tmp_path: Path) -> None:
    """A run can be checked while it waits or after a crash, at every record."""
    lines = long_run.journal.read_bytes().splitlines(keepends=True)
    for kept in range(1, len(lines), 8):
        copy = Path(shutil.copytree(long_run.path, tmp_path / str(kept) / long_run.name))
        named = {"journal.jsonl", "sop.yml", "officials.json", "allowed_signers"}
        named |= {"office.json", "trends.json"}
        (copy / "journal.jsonl").write_bytes(b"".join(lines[:kept]))
        for event in journal.read(copy / "journal.jsonl"):
            named |= {path for path, _ in files_of(event)}
        for path in set(files_in(copy)) - named:
            (copy / path).unlink()
        assert kept == verify.verify(copy).records


def test_the_journal_holds_no_field_that_the_format_does_not_tell(long_run: RunFolder) -> None:
    common = {"seq", "prev", "at", "mono", "boot", "event"}
    for said in read_journal(long_run.path):
        assert set(said) - common == set(SHAPES[said["event"]].model_fields)


def test_swapped_journal_lines_are_named(forged: Path) -> None:
    lines = (forged / "journal.jsonl").read_bytes().splitlines(keepends=True)
    lines[7], lines[8] = lines[8], lines[7]
    (forged / "journal.jsonl").write_bytes(b"".join(lines))
    assert wrong(forged) == "journal.jsonl:8"


def test_a_journal_line_without_its_end_is_named(forged: Path) -> None:
    journal = forged / "journal.jsonl"
    journal.write_bytes(journal.read_bytes()[:-1])
    assert file_of(wrong(forged)) == "journal.jsonl"


def test_any_record_dropped_doubled_or_swapped_is_found_though_the_chain_fits(long_run: RunFolder) -> None:
    original = read_journal(long_run.path)
    last = len(original) - 1
    whole = record.load(long_run)
    said = [made[kind]["path"] for made in original for kind in ("statement", "roster") if kind in made]
    statements = {path: (long_run.path / path).read_bytes() for path in said}
    for at in range(len(original)):
        changed = {
            "dropped": original[:at] + original[at + 1 :],
            "doubled": [*original[: at + 1], original[at], *original[at + 1 :]],
            "swapped": [*original[:at], *original[at + 1 : at + 2], original[at], *original[at + 2 :]],
        }
        for how, records in changed.items():
            if at == last and how != "doubled":
                continue  # swapped with nothing; dropped leaves a run that is open again: the register tells
            numbered = [
                {**r, "as_of": seq - 1} if "as_of" in r else r for seq, r in enumerate(records, start=1)
            ]
            events = list(journal.parse(chained(numbered), "journal.jsonl"))
            with pytest.raises(errors.VerificationError) as caught:
                replay(whole.sop, whole.first_roster, events, statements, "journal.jsonl")
            # Who signed the change of the roster signed the record before it, and so all of them.
            named = {"journal.jsonl", "decisions/roster-1.json"}
            assert file_of(caught.value.path) in named, f"record {at + 1} {how}"


def test_a_process_that_replayed_a_beginning_judges_the_rest_alike(long_run: RunFolder) -> None:
    """What the engine asks before each act: it has seen the beginning, and takes no other for it."""
    whole = record.load(long_run)
    said = [e[kind]["path"] for e in whole.events for kind in ("statement", "roster") if kind in e.fields]
    statements = {path: (long_run.path / path).read_bytes() for path in said}
    original = read_journal(long_run.path)
    for at in range(1, len(original) - 1, 4):
        replayed = Replayed()
        replayed.go_on(whole.sop, whole.first_roster, whole.events[:at], statements, "journal.jsonl")
        replayed.go_on(whole.sop, whole.first_roster, whole.events, statements, "journal.jsonl")
        for records in (original[:at] + original[at + 1 :], original[: at - 1] + original[at:]):
            events = list(journal.parse(chained(records), "journal.jsonl"))
            fresh = Replayed()
            fresh.go_on(whole.sop, whole.first_roster, whole.events[:at], statements, "journal.jsonl")
            with pytest.raises(errors.VerificationError):
                fresh.go_on(whole.sop, whole.first_roster, events, statements, "journal.jsonl")
            # After a refusal nothing counts as replayed.
            with pytest.raises(errors.VerificationError):
                fresh.go_on(whole.sop, whole.first_roster, events, statements, "journal.jsonl")


def no_change(records: list[Record]) -> None:
    """Leave the records as they are; only what they name was changed."""


def change_fields(event: str, at: dict[str, Any], fields: dict[str, Any]) -> Callable[[list[Record]], None]:
    return lambda records: find(records, event, **at).update(fields)


PERSON_ANALIS = {
    "id": "analis",
    "name": "Nama Analis",
    "nip": f"{2:018d}",
    "position": "Kepala Bidang Teknologi dan Informatika",
}
PERSON_OPERATOR = {
    "id": "pengelola",
    "name": "Nama Pengelola",
    "nip": f"{1:018d}",
    "position": "Kepala Bidang Teknologi dan Informatika",
}
ROW_4 = {"step": 4}
OTHER_REGISTER = {"records": 3, "head": "a" * 64}
OTHER_EMPTY = {"records": 0, "head": "a" * 64}
FORGED_FIELDS = {
    "decider holds another position": ("decision_made", ROW_4, {"person": PERSON_ANALIS}),
    "decider operates the run": ("decision_made", ROW_4, {"person": PERSON_OPERATOR}),
    "decider is nobody of the roster": ("decision_made", ROW_4, {"person": {**PERSON_ANALIS, "id": "x"}}),
    "decider's name is another": (
        "decision_made",
        ROW_4,
        {"person": {**PERSON_ANALIS, "id": "kabid", "name": "Nama Lain"}},
    ),
    "outcome is another": ("decision_made", ROW_4, {"outcome": "tidak diperintahkan"}),
    "outcome is none of the gate's": ("decision_made", ROW_4, {"outcome": "ya"}),
    "reason is another": ("decision_made", ROW_4, {"reason": "Alasan lain"}),
    "sent back without a reason": ("decision_made", {"step": 3, "attempt": 1}, {"reason": " "}),
    "nonce of the decision is another": ("decision_made", ROW_4, {"nonce": "0" * 32}),
    "nonce of the gate is another": ("gate_opened", ROW_4, {"nonce": "0" * 32}),
    "gate awaits somebody else": ("gate_opened", ROW_4, {"position": "JF Pranata Komputer Ahli Muda"}),
    "gate has another exit": ("gate_opened", ROW_4, {"outcomes": ["diperintahkan", "ya"]}),
    "gate is about another plan": (
        "gate_opened",
        ROW_4,
        {"subject": {"sop": "0" * 64, "plan": "0" * 64, "evidence": "0" * 64}},
    ),
    "action on other hosts": ("action_started", {"step": 7}, {"hosts": ["web2"]}),
    "action that hides its changes": ("action_started", {"step": 7, "kind": "playbook"}, {"changes": False}),
    "action of another kind": ("action_started", {"step": 8}, {"kind": "playbook"}),
    "results of other hosts": ("action_finished", {"step": 8}, {"hosts": {"web9": "ok"}}),
    "evidence left out": ("action_finished", {"step": 6}, {"evidence": []}),
    "unknown result": ("action_finished", {"step": 6}, {"hosts": {"web1": "fine"}}),
    "plan without its hosts": ("plan_made", {}, {"hosts": []}),
    "plan in another place": ("plan_made", {}, {"path": "sop.yml"}),
    "document of another moment": ("document_written", {}, {"as_of": 3}),
    "document under another name": ("document_written", {}, {"version": "ratified"}),
    "document with another register": ("document_written", {"step": 2}, {"archive": OTHER_REGISTER}),
    "document with a register that went back": ("document_written", {"step": 7}, {"archive": OTHER_EMPTY}),
    "row leads elsewhere": ("step_finished", {"step": 3, "attempt": 1}, {"next": 4}),
    "row finished by another exit": ("step_finished", {"step": 8}, {"outcome": "normal"}),
    "span ends elsewhere": ("step_spanned", {}, {"until": 7}),
    "run ended otherwise": ("run_finished", {}, {"outcome": "ended"}),
    "roster changed by another": ("roster_changed", {}, {"person": PERSON_ANALIS}),
    "roster changed for another reason": ("roster_changed", {}, {"reason": "Alasan lain"}),
    "roster changed otherwise": ("roster_changed", {}, {"changes": []}),
    "roster in another place": (
        "roster_changed",
        {},
        {"roster": {"path": "officials.json", "sha256": "0" * 64}},
    ),
    "gate of the roster before": ("roster_changed", {}, {"nonce": None}),
    "attempt counted twice": ("step_started", {"step": 2, "attempt": 2}, {"attempt": 1}),
    "other waves": ("step_started", {"step": 7}, {"parts": []}),
    "other operator": ("run_started", {}, {"operator": PERSON_ANALIS}),
    "other office": ("run_started", {}, {"office": "Dinas Lain"}),
    "larger failure budget": ("run_started", {}, {"failure_budget": "9"}),
    "larger failure budget at the plan": ("plan_made", {}, {"failure_budget": 9}),
    "another run's id": ("run_started", {}, {"run": "2026-11-21-surakarta-system-update-7"}),
    "an event of no format": ("step_started", {}, {"event": "__init__"}),
    "a missing field's place taken": ("step_finished", {}, {"step": "1"}),
}


@pytest.mark.parametrize("what", FORGED_FIELDS)
def test_a_forged_field_is_found_though_every_hash_fits(forged: Path, what: str) -> None:
    forge(forged, change_fields(*FORGED_FIELDS[what]))
    assert file_of(wrong(forged)) in {
        "journal.jsonl",
        "decisions/4-1.json",
        "decisions/3-1.json",
        "plans/2-1.json",
        "decisions/roster-1.json",
        "documents/02-1-laporan-hasil-pengecekan-draft.json",
    }


@pytest.mark.parametrize("field", sorted(SHAPES["decision_made"].model_fields))
def test_a_decision_without_a_field_is_named(forged: Path, field: str) -> None:
    def drop(records: list[Record]) -> None:
        del find(records, "decision_made")[field]

    forge(forged, drop)
    assert file_of(wrong(forged)) == "journal.jsonl"


def rewrite(path: Path, **fields: Any) -> None:  # noqa: ANN401 - any JSON
    path.write_bytes(
        json.dumps(
            {**json.loads(path.read_bytes()), **fields}, sort_keys=True, separators=(",", ":")
        ).encode()
        + b"\n"
    )


def sign(statement: Path, key: Path, namespace: str = "rawat-decision") -> None:
    statement.with_name(statement.name + ".sig").unlink()
    command = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", namespace, str(statement)]
    subprocess.run(command, check=True, capture_output=True)


def test_a_decision_signed_by_another_official_is_found(forged: Path, keys: Path) -> None:
    sign(forged / "decisions" / "4-1.json", keys / "analis")
    assert wrong(forged) == "decisions/4-1.json.sig"
    forge(forged, no_change)
    assert wrong(forged) == "decisions/4-1.json.sig"


def test_a_signature_for_another_purpose_is_found(forged: Path, keys: Path) -> None:
    sign(forged / "decisions" / "4-1.json", keys / "kabid", namespace="git")
    forge(forged, no_change)
    assert wrong(forged) == "decisions/4-1.json.sig"


def test_a_statement_changed_after_it_was_signed_is_found(forged: Path) -> None:
    rewrite(forged / "decisions" / "4-1.json", reason="Alasan lain")
    forge(forged, change_fields("decision_made", ROW_4, {"reason": "Alasan lain"}))
    assert wrong(forged) == "decisions/4-1.json.sig"


def test_signatures_of_two_decisions_swapped_are_found(forged: Path) -> None:
    first, second = forged / "decisions" / "3-1.json.sig", forged / "decisions" / "3-2.json.sig"
    data = first.read_bytes(), second.read_bytes()
    first.write_bytes(data[1])
    second.write_bytes(data[0])
    forge(forged, no_change)
    assert wrong(forged) == "decisions/3-1.json.sig"


def test_a_statement_replayed_from_another_run_is_found(forged: Path, long_office: Office) -> None:
    """The same officials, the same gate, the same plan: only run and nonce tell the runs apart."""
    other = long_office.start(failure_budget=1)
    long_office.go_on(other, {3: ["sesuai"], 4: ["diperintahkan"]})
    long_office.free(other)
    theirs = find(read_journal(other.path), "decision_made", step=4)
    for name in ("4-1.json", "4-1.json.sig"):
        shutil.copy(other.path / "decisions" / name, forged / "decisions" / name)
    assert wrong(forged) == "decisions/4-1.json"
    forge(forged, no_change)
    assert wrong(forged) == "decisions/4-1.json"
    forge(forged, change_fields("decision_made", ROW_4, {"nonce": theirs["nonce"]}))
    assert file_of(wrong(forged)) == "journal.jsonl"
    forge(forged, change_fields("gate_opened", ROW_4, {"nonce": theirs["nonce"]}))
    assert wrong(forged) == "decisions/4-1.json"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("run", "2026-11-21-surakarta-system-update-2"),
        ("format", 1),
        ("expires", "2099-01-01T00:00:00.000000Z"),
        ("decided", "yesterday"),
        ("gate", {"step": 10, "attempt": 1, "kegiatan": "lain"}),
        ("addition", None),
    ],
)
def test_a_statement_that_says_something_else_is_found_even_when_rightly_signed(
    forged: Path, keys: Path, field: str, value: object
) -> None:
    rewrite(forged / "decisions" / "4-1.json", **{field: value})
    sign(forged / "decisions" / "4-1.json", keys / "kabid")
    forge(forged, no_change)
    assert wrong(forged) == "decisions/4-1.json"


def test_a_decision_after_its_expiry_is_found(forged: Path) -> None:
    late = format_utc(START + timedelta(days=8))
    forge(forged, change_fields("decision_made", ROW_4, {"at": late}))
    assert file_of(wrong(forged)) == "journal.jsonl"


def test_a_change_after_its_decision_expired_is_found(forged: Path) -> None:
    def late(records: list[Record]) -> None:
        after = records.index(find(records, "decision_made", step=4))
        for later in records[after + 1 :]:
            later["mono"] += 9 * 86400 * 10**9

    forge(forged, late)
    with pytest.raises(errors.VerificationError, match="the decision of row 3 had expired"):
        verify.verify(forged)


def test_a_plan_exchanged_after_its_approval_is_found(forged: Path) -> None:
    path = forged / "plans" / "2-2.json"
    plan = json.loads(path.read_bytes())
    plan["hosts"]["web1"]["updates"][0]["to"] = "9.9"
    rewrite(path, **plan)
    assert wrong(forged) == "plans/2-2.json"
    forge(forged, no_change)
    assert file_of(wrong(forged)) == "journal.jsonl"


def test_evidence_changed_before_a_gate_is_found_at_the_gate(forged: Path) -> None:
    rewrite(forged / "evidence" / "7-1-1" / "web1.json", results={"apply-updates": {"outcome": "lain"}})
    forge(forged, no_change)
    with pytest.raises(errors.VerificationError, match="gate_opened: subject is "):
        verify.verify(forged)


def test_evidence_that_tells_of_another_host_is_found(forged: Path) -> None:
    rewrite(forged / "evidence" / "2-1-1" / "web1.json", host="web2")
    forge(forged, no_change)
    assert file_of(wrong(forged)) in {"journal.jsonl", "evidence/2-1-1/web1.json"}


def test_a_host_made_well_in_the_journal_alone_is_found(small_run: Path) -> None:
    """After the last gate no signature covers the results; evidence and journal must still agree."""
    rewrite(small_run / "evidence" / "3-1-1" / "web1.json", status="failed")
    forge(small_run, no_change)
    assert wrong(small_run) == "evidence/3-1-1/web1.json"


def test_two_persons_with_one_key_cannot_be_told_apart_and_are_refused(keys: Path, tmp_path: Path) -> None:
    for name in ("analis", "kabid"):
        shutil.copy(keys / "kabid.pub", tmp_path / f"{name}.pub")
    (tmp_path / "officials.yml").write_text(
        "office: Dinas Contoh\nofficials:\n"
        '  - {id: analis, name: A, nip: "000000000000000001", positions: [P], key: analis.pub}\n'
        '  - {id: kabid, name: B, nip: "000000000000000002", positions: [Q], key: kabid.pub}\n'
    )
    with pytest.raises(
        errors.InputError, match=r"officials.yml:4: officials 'analis' and 'kabid' have the same"
    ):
        load_roster(tmp_path / "officials.yml")


def test_other_keys_beside_the_roster_are_found(forged: Path) -> None:
    with (forged / "allowed_signers").open("ab") as signers:
        signers.write(b'kabid namespaces="rawat-decision" ssh-ed25519 AAAA\n')
    assert wrong(forged) == "allowed_signers"


def test_line_ends_of_another_system_in_the_sop_are_found(forged: Path) -> None:
    sop = forged / "sop.yml"
    sop.write_bytes(sop.read_bytes().replace(b"\n", b"\r\n"))
    assert wrong(forged) == "sop.yml"


def test_a_run_folder_under_another_run_s_name_is_found(forged: Path) -> None:
    assert wrong(forged.rename(forged.with_name("2026-11-21-surakarta-system-update-9"))) == "journal.jsonl:1"


def test_a_run_that_is_at_work_is_not_judged_meanwhile(long_office: Office) -> None:
    run = long_office.start()
    with long_office.engine(run)._locked(), pytest.raises(errors.InputError, match="another process"):
        verify.verify(run.path)
    assert verify.verify(run.path).records == 1


def test_verifying_needs_no_right_to_write(bagged: Path) -> None:
    before = {path: (bagged / path).stat().st_mtime_ns for path in files_in(bagged)}
    for path in [bagged, *bagged.rglob("*")]:
        path.chmod(0o500 if path.is_dir() else 0o400)
    verify.verify(bagged)
    assert before == {path: (bagged / path).stat().st_mtime_ns for path in files_in(bagged)}
    for path in [bagged, *bagged.rglob("*")]:
        path.chmod(0o700)
