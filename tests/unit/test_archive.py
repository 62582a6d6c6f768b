"""Sealing: what a bag holds, that it is the same every time, and that no crash can spoil it."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from unit.record_builder import make_closed_run, make_keys, make_office

from runner import archive, archive_key, bag, errors, inventory, register, verify
from runner.canonical import canonical_json
from runner.events import SHAPES
from runner.tree import list_tree
from runner.workspace import RunFolder


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_keys(tmp_path_factory.mktemp("office") / "keys")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> RunFolder:
    """Return a closed run that no test changes."""
    return make_closed_run(make_office(tmp_path_factory.mktemp("tree"), keys))


@pytest.fixture(scope="module")
def own_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the key of an archive."""
    return archive_key.require_key(tmp_path_factory.mktemp("key") / "ed25519")


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory, run: RunFolder, own_key: Path) -> Path:
    """Return the run's archive, which no test changes."""
    return archive.seal(run, tmp_path_factory.mktemp("archive"), own_key)


def contents(folder: Path) -> dict[str, bytes]:
    """Return path -> content of every file under a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


# What a bag holds


def test_the_bag_stands_at_year_and_run(run: RunFolder, sealed: Path) -> None:
    assert ("2026", run.name) == (sealed.parent.name, sealed.name)


def test_the_payload_is_the_record_and_never_the_scratch_folder(run: RunFolder, tmp_path: Path) -> None:
    recorded = contents(run.path)
    copy = RunFolder(tmp_path / run.name)
    shutil.copytree(run.path, copy.path)
    (copy.work / "1-1-1-0").mkdir(parents=True)
    (copy.work / "1-1-1-0" / "command").write_bytes(b"a secret")
    (copy.work / "link").symlink_to("/etc")

    assert recorded == contents(archive.seal(copy, tmp_path / "archive") / "data")


def test_what_a_stopped_action_left_is_not_sealed(keys: Path, tmp_path: Path) -> None:
    office = make_office(tmp_path / "tree", keys)
    run = make_closed_run(office)
    lines = run.journal.read_bytes().splitlines(keepends=True)
    begun = next(
        n
        for n, line in enumerate(lines)
        if b'"action_started"' in line and b'"kind":"playbook"' in line and b'"step":3' in line
    )
    run.journal.write_bytes(b"".join(lines[: begun + 1]))
    for left in [*run.documents.glob("04-*"), *run.path.glob("evidence/4-*")]:
        left.unlink()
    verify.check_run(run)  # evidence of row 3 is there, the record of it is not: a crash between the two
    office.clock.advance(30 * 24 * 3600)
    # By now the decision has expired: the gate is opened anew, and the first try is never told.
    office.go_on(run, {2: ["setuju", "setuju"]}, resumed=True)
    (run.path / "evidence" / "3-1-1" / ".web1.json.partial").write_bytes(b"half")

    bagged = contents(archive.seal(run, tmp_path / "archive") / "data")

    assert (run.path / "evidence" / "3-1-1" / "web1.json").exists()
    assert [path for path in bagged if path.startswith("evidence/3-1-1/")] == []
    assert [path for path in bagged if path.startswith("evidence/3-2-1/")] != []


def test_only_the_owner_can_read_an_archive(sealed: Path) -> None:
    root = sealed.parent.parent
    modes = {
        (path.is_dir(), stat.S_IMODE(path.stat().st_mode))
        for path in [*sealed.parent.rglob("*"), sealed.parent]
    }

    assert {(True, 0o700), (False, 0o600)} == modes
    assert stat.S_IMODE((root / "register.jsonl").stat().st_mode) == 0o600


def test_bag_info_comes_from_the_record(run: RunFolder, sealed: Path) -> None:
    lines = run.journal.read_bytes().splitlines(keepends=True)
    payload = contents(sealed / "data")
    info = dict(line.split(": ", 1) for line in (sealed / "bag-info.txt").read_text().splitlines())

    assert {
        "Source-Organization": "Dinas Contoh",
        "External-Identifier": run.name,
        "External-Description": "Pemeliharaan Contoh",
        "Bagging-Date": "2026-11-21",
        "Payload-Oxum": f"{sum(map(len, payload.values()))}.{len(payload)}",
        "SOP-Id": "contoh-arsip",
        "SOP-File": "contoh-arsip.yml",
        "SOP-SHA256": hashlib.sha256(payload["sop.yml"]).hexdigest(),
        "Run-Outcome": "completed",
        "Journal-Records": str(len(lines)),
        "Journal-Head": hashlib.sha256(lines[-1]).hexdigest(),
        "Rawat-Version": json.loads(lines[0])["versions"]["rawat"],
    } == info


@pytest.mark.parametrize("manifest", ["manifest-sha256.txt", "tagmanifest-sha256.txt"])
def test_sha256sum_accepts_the_manifests(sealed: Path, manifest: str) -> None:
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", manifest], cwd=sealed, capture_output=True, check=False
    )

    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.count(b": OK\n") == len((sealed / manifest).read_text().splitlines())


def test_another_bagit_program_accepts_the_bag(sealed: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-m", "bagit", "--validate", str(sealed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert (done.returncode, "is valid" in done.stderr) == (0, True), done.stderr


@pytest.mark.parametrize("classification", ["", "000.6.3"])
def test_the_checks_by_hand_in_the_documentation_pass_and_fail_where_they_should(
    root: Path, sealed: Path, tmp_path: Path, classification: str
) -> None:
    page = (root / "docs" / "run-record.md").read_text(encoding="utf-8")
    checks = re.findall(r"```sh\n(.*?)```", page.split("## Checking an archive by hand")[1], re.DOTALL)
    assert len(checks) >= 4
    copy = tmp_path / "archive"
    shutil.copytree(sealed.parent.parent, copy)
    place = copy / sealed.parent.name / classification / sealed.name
    if classification:
        place.parent.mkdir()
        (copy / sealed.parent.name / sealed.name).rename(place)

    def by_hand(check: str) -> int:
        return subprocess.run(["sh", "-c", check], cwd=place, capture_output=True, check=False).returncode

    assert [0] * len(checks) == [by_hand(check) for check in checks]
    damaged = [
        place / "data" / "extra",
        place / "data" / "sop.yml",
        place / "data" / "decisions" / "2-1.json",
    ]
    for path in damaged:
        path.write_bytes((path.read_bytes() if path.exists() else b"") + b" ")
    journal = place / "data" / "journal.jsonl"
    journal.write_bytes(journal.read_bytes().replace(b'"step_started"', b'"step_Started"', 1))
    (place / "tagmanifest-sha256.txt").write_bytes(b"x")
    assert 0 not in [by_hand(check) for check in checks]


@pytest.mark.parametrize("event", sorted(SHAPES))
def test_the_documentation_tells_every_event_and_field(root: Path, event: str) -> None:
    page = (root / "docs" / "run-record.md").read_text(encoding="utf-8")
    row = next(line for line in page.splitlines() if line.startswith(f"| `{event}` |"))

    assert [field for field in SHAPES[event].model_fields if f"`{field}`" not in row] == []


# The same every time


def test_sealing_again_returns_the_same_archive_and_one_entry(run: RunFolder, tmp_path: Path) -> None:
    first = archive.seal(run, tmp_path)
    before = contents(tmp_path)

    assert first == archive.seal(run, tmp_path)
    assert before == contents(tmp_path)


def test_a_head_that_is_signed_is_not_signed_again(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "archive"
    archive.seal(run, root)
    head = (root / register.HEAD).read_bytes()
    with monkeypatch.context() as counted:
        counted.setattr(archive_key, "sign", lambda *_: pytest.fail("signed again"))
        archive.seal(run, root)
    (root / register.HEAD).unlink()  # as a crash leaves the very first
    archive.seal(run, root)
    assert (root / register.HEAD).read_bytes() == head


def test_sealing_elsewhere_gives_the_same_bytes(
    run: RunFolder, sealed: Path, own_key: Path, tmp_path: Path
) -> None:
    archive.seal(run, tmp_path, own_key)

    assert contents(sealed.parent.parent) == contents(tmp_path)


def test_sealing_is_a_copy(run: RunFolder, tmp_path: Path) -> None:
    before = contents(run.path)
    archive.seal(run, tmp_path)

    assert before == contents(run.path)


def test_an_archive_that_was_lost_is_built_anew_as_the_register_names_it(
    run: RunFolder, tmp_path: Path
) -> None:
    place = archive.seal(run, tmp_path)
    before = contents(tmp_path)
    shutil.rmtree(place)
    archive.seal(run, tmp_path)

    assert before == contents(tmp_path)


def test_each_run_gets_its_own_chained_entry(run: RunFolder, keys: Path, tmp_path: Path) -> None:
    office = make_office(tmp_path / "tree", keys)
    places = [archive.seal(run, tmp_path / "archive")]
    shutil.copytree(run.path, office.workspace.runs / run.name)  # so that the next run has another id
    places.append(archive.seal(make_closed_run(office), tmp_path / "archive"))
    entries = register.parse((tmp_path / "archive" / "register.jsonl").read_bytes())

    assert [str(place.relative_to(tmp_path / "archive")) for place in places] == [e.path for e in entries]
    assert [hashlib.sha256(entries[0].line).hexdigest()] == [entries[1].prev]
    assert [verify.verify(place).registered for place in places] == [True, True]


def unreadable(_path: Path) -> bytes:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_a_register_names_no_place_outside_its_archive(run: RunFolder, tmp_path: Path) -> None:
    archive.seal(run, tmp_path / "archive")
    record = json.loads((tmp_path / "archive" / "register.jsonl").read_bytes())
    record |= {"classification": "../..", "path": f"2026/../../{record['run']}"}
    with pytest.raises(errors.VerificationError, match="has a path that is not the one of its run"):
        register.parse(canonical_json(record))


def test_a_public_key_that_the_disk_does_not_give_is_not_called_another(tmp_path: Path) -> None:
    key = archive_key.require_key(tmp_path / "ed25519")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Path, "read_bytes", unreadable)
        with pytest.raises(errors.VerificationError, match="cannot be read: Input/output error"):
            archive_key.signers_line(key)
    key.with_name("ed25519.pub").unlink()
    with pytest.raises(errors.InputError, match="is not a public key"):
        archive_key.signers_line(key)


def test_a_run_that_is_not_closed_is_not_sealed(keys: Path, tmp_path: Path) -> None:
    office = make_office(tmp_path / "tree", keys)
    run = office.start()
    office.go_on(run, {})

    with pytest.raises(errors.InputError, match="is not closed"):
        archive.seal(run, tmp_path / "archive")
    assert not (tmp_path / "archive").exists()


def test_a_refused_run_can_be_sealed(keys: Path, tmp_path: Path) -> None:
    office = make_office(tmp_path / "tree", keys)
    run = office.start()
    office.go_on(run, {2: ["batal"]})

    assert verify.verify(archive.seal(run, tmp_path / "archive")).registered


def test_a_run_that_does_not_hold_is_not_sealed(run: RunFolder, tmp_path: Path) -> None:
    copy = RunFolder(tmp_path / "runs" / run.name)
    shutil.copytree(run.path, copy.path)
    (copy.path / "plans" / "1-1.json").write_bytes(b"{}\n")

    with pytest.raises(errors.VerificationError, match=r"^plans/1-1.json: "):
        archive.seal(copy, tmp_path / "archive")
    assert not (tmp_path / "archive").exists()


def test_a_damaged_archive_is_named_and_not_written_over(run: RunFolder, tmp_path: Path) -> None:
    place = archive.seal(run, tmp_path)
    (place / "data" / "sop.yml").write_bytes(b"")
    before = contents(tmp_path)

    with pytest.raises(errors.VerificationError, match=rf"^2026/{run.name}/data/sop.yml: "):
        archive.seal(run, tmp_path)
    assert before == contents(tmp_path)


def test_two_runs_with_one_id_do_not_replace_each_other(run: RunFolder, keys: Path, tmp_path: Path) -> None:
    other = make_closed_run(make_office(tmp_path / "tree", keys))
    assert run.name == other.name
    archive.seal(run, tmp_path / "archive")

    with pytest.raises(errors.VerificationError, match=r"^register.jsonl:1: names another archive"):
        archive.seal(other, tmp_path / "archive")


# Crashes


class PowerCutError(BaseException):
    """The machine went off: nothing of the program's own runs after it that would write."""


def cut_at(monkeypatch: pytest.MonkeyPatch, moment: int, stop: BaseException) -> list[str]:
    """Let the ``moment``-th call that changes the disk fail; return the names of the calls made."""
    made: list[str] = []

    def counted(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def instead(*given: Any, **named: Any) -> Any:  # noqa: ANN401 - stands for any function of os
            changes = name != "open" or given[1] & (os.O_WRONLY | os.O_RDWR)
            if changes:
                made.append(name)
                if len(made) == moment:
                    raise stop
            return call(*given, **named)

        return instead

    for name in ("open", "write", "fsync", "mkdir", "rename"):
        monkeypatch.setattr(os, name, counted(name, getattr(os, name)))
    return made


def disk_calls(run: RunFolder, tmp_path: Path, own_key: Path) -> list[str]:
    with pytest.MonkeyPatch.context() as patched:
        made = cut_at(patched, 0, PowerCutError())
        archive.seal(run, tmp_path / "counted", own_key)
    return made


def test_sealing_after_a_power_cut_at_any_write_gives_the_same_archive(
    run: RunFolder, sealed: Path, own_key: Path, tmp_path: Path
) -> None:
    expected = contents(sealed.parent.parent)
    calls = disk_calls(run, tmp_path, own_key)
    assert {"open", "write", "fsync", "mkdir", "rename"} == set(calls)
    # Every moment of the beginning and of the end (rename, register), some of the copying.
    moments = {*range(1, 8), *range(8, len(calls) - 24, 19), *range(len(calls) - 24, len(calls) + 1)}
    for moment in sorted(moments):
        root = tmp_path / str(moment)
        with pytest.MonkeyPatch.context() as patched:
            cut_at(patched, moment, PowerCutError())
            with pytest.raises(PowerCutError):
                archive.seal(run, root, own_key)
        # A bag that is in its place is whole, whenever the power went.
        assert all(contents(bagged) == contents(sealed) for bagged in root.glob("2026/2026*"))
        archive.seal(run, root, own_key)
        assert expected == contents(root), f"cut at call {moment}, {calls[moment - 1]}"


@pytest.mark.parametrize("call", ["mkdir", "open", "fsync", "rename", "write"])
def test_a_full_disk_is_told_as_one_that_cannot_record(
    run: RunFolder, sealed: Path, own_key: Path, tmp_path: Path, call: str
) -> None:
    calls = disk_calls(run, tmp_path, own_key)
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    moment = len(calls) - calls[::-1].index(call)
    with pytest.MonkeyPatch.context() as patched:
        cut_at(patched, moment, full)
        with pytest.raises(errors.CannotRecordError, match="No space left on device"):
            archive.seal(run, tmp_path / "archive", own_key)
    archive.seal(run, tmp_path / "archive", own_key)

    assert contents(sealed.parent.parent) == contents(tmp_path / "archive")


def test_an_entry_torn_by_a_crash_is_written_again(run: RunFolder, tmp_path: Path) -> None:
    archive.seal(run, tmp_path)
    line = (tmp_path / "register.jsonl").read_bytes()
    for kept in (1, len(line) // 2, len(line) - 1):
        (tmp_path / "register.jsonl").write_bytes(line[:kept])
        archive.seal(run, tmp_path)
        assert line == (tmp_path / "register.jsonl").read_bytes()


def test_an_entry_whose_line_end_was_damaged_is_not_dropped(run: RunFolder, tmp_path: Path) -> None:
    archive.seal(run, tmp_path)
    damaged = (tmp_path / "register.jsonl").read_bytes()[:-1] + b"\x0b"
    (tmp_path / "register.jsonl").write_bytes(damaged)

    with pytest.raises(errors.VerificationError, match=r"^register.jsonl:1: "):
        archive.seal(run, tmp_path)
    assert damaged == (tmp_path / "register.jsonl").read_bytes()


# Manifests, line by line

D = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"{D} data/a\n", 1),
        (f"{D} *data/a\n", 1),
        (f"{D.upper()}  data/a\n", 1),
        (f"{D[:-1]}  data/a\n", 1),
        (f"{D}  data/a\n\n", 2),
        (f"{D}  data/a\n{D}  data/a\n", 2),
        (f"{D}  data/b\n{D}  data/a\n", 2),
        (f"{D}  data/a \n", 1),
        (f"\ufeff{D}  data/a\n", 1),
        (f"{D}\tdata/a\n", 1),
    ],
)
def test_a_manifest_has_one_form(text: str, line: int) -> None:
    with pytest.raises(errors.VerificationError) as caught:
        bag.parse_manifest(text.encode(), "manifest-sha256.txt")
    assert f"manifest-sha256.txt:{line}" == caught.value.path


def test_a_manifest_without_a_last_newline_is_cut_off() -> None:
    with pytest.raises(errors.VerificationError, match="cut off"):
        bag.parse_manifest(f"{D}  data/a".encode(), "manifest-sha256.txt")


def test_a_manifest_reads_as_it_was_written() -> None:
    digests = {"data/Ñ b": D, "data/a": D[::-1]}

    assert digests == bag.parse_manifest(bag.manifest(digests), "manifest-sha256.txt")


# What may be in a folder


def refused(root: Path) -> str:
    with pytest.raises(errors.VerificationError) as caught:
        list_tree(root)
    return caught.value.path


@pytest.mark.parametrize(
    "name", ["a\nb", "a\x1b[2J", "a\u202eb", "a\u200bb", "a%0Ab", "a\\b", "e\u0301", "\udcff"]
)
def test_odd_names_are_refused_and_shown_without_their_effect(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    shown = refused(tmp_path)

    assert shown.isprintable()


def test_links_are_refused_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "f").symlink_to("/etc/passwd")
    assert refused(tmp_path) == "f"


def test_links_to_folders_are_refused(tmp_path: Path) -> None:
    (tmp_path / "f").symlink_to("/etc")
    assert refused(tmp_path) == "f"


def test_hard_links_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    os.link(tmp_path / "a", tmp_path / "b")
    assert refused(tmp_path) == "a"


def test_pipes_are_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert refused(tmp_path) == "pipe"


def test_names_that_differ_in_case_only_are_refused(tmp_path: Path) -> None:
    (tmp_path / "Web1.json").touch()
    (tmp_path / "web1.json").touch()
    assert refused(tmp_path) == "web1.json"


def test_a_tree_that_is_too_deep_is_refused(tmp_path: Path) -> None:
    (tmp_path / "/".join("abcdefghijkl")).mkdir(parents=True)
    assert refused(tmp_path).startswith("a/b/c")


def test_a_file_swapped_for_a_link_after_it_was_listed_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "f").write_bytes(b"x")
    tree = list_tree(tmp_path)
    (tmp_path / "d").rename(tmp_path / "e")
    (tmp_path / "d").symlink_to("e")

    with pytest.raises(errors.VerificationError, match=r"^d/f: cannot be read"):
        tree.read("d/f")


@pytest.mark.parametrize("host", ["../x", "a/b", ".x", "a%b", "a\u202eb", "x" * 201])
def test_a_host_whose_evidence_could_not_be_sealed_is_refused(tmp_path: Path, host: str) -> None:
    with pytest.raises(errors.InputError, match=r"the host .* has a name"):
        inventory._require_file_names(["web1", host], tmp_path)


def test_hosts_that_differ_in_case_only_are_refused_before_the_run(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text(json.dumps({"all": {"hosts": {"Web1": {}, "web1": {}}}}))

    with pytest.raises(errors.InputError, match="only in upper and lower case"):
        inventory.read_inventory(tmp_path)


def test_who_keeps_the_register_for_too_long_is_named(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(register, "_PATIENCE_SECONDS", 0.0)
    key = archive_key.key_beside(tmp_path)
    with register.held(tmp_path, key), pytest.raises(errors.InputError) as caught:
        archive.seal(run, tmp_path)
    told = rf"^another process is sealing a run, .*: process {os.getpid()} \("
    assert re.search(told, str(caught.value))
    assert archive.seal(run, tmp_path).is_dir()
