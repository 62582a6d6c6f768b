"""Archives that hold, and archives that were tampered with, each under the name of the attack.

A second judge may be held against these: ``write_cases`` puts each on the disk with the verdict on it.
Whoever attacks can write all files of the archive and make every hash fit; he has no key unless the name says
so.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unit.record_builder import make_keys

from runner import archive_key, bag
from runner.canonical import canonical_json, sha256_hex

from .archives import HEAD, OFFICIALS, REGISTER, SIGNERS, TAG_MANIFEST, Attacked, chained, read_journal

JOURNAL = "data/journal.jsonl"


@dataclass(frozen=True)
class Case:
    """One archive and the verdict on it."""

    name: str
    make: Callable[[Attacked], None]
    holds: bool
    target: str = "bag"
    checkpoints: tuple[str, ...] = ()
    signers: bool = False
    officials: bool = False
    printed: tuple[str, ...] = ()
    blind: str = ""
    """Why the script cannot see it, by design; "" where both must come to the same verdict."""


CASES: list[Case] = []


def case(
    *,
    holds: bool = False,
    target: str = "bag",
    checkpoints: tuple[str, ...] = (),
    signers: bool = False,
    officials: bool = False,
    printed: tuple[str, ...] = (),
    blind: str = "",
) -> Callable[[Callable[[Attacked], None]], Callable[[Attacked], None]]:
    """Enter a case under the name of its function."""

    def enter(make: Callable[[Attacked], None]) -> Callable[[Attacked], None]:
        name = make.__name__.strip("_").replace("_", "-")
        CASES.append(Case(name, make, holds, target, checkpoints, signers, officials, printed, blind))
        return make

    return enter


def untouched(_: Attacked) -> None:
    """Leave everything as it was sealed."""


for _name, _target, _points, _pinned in (
    ("valid-archive", "all", (), False),
    ("valid-bag", "bag", (), False),
    ("valid-newest-bag", "newest", (), False),
    ("valid-bag-without-its-register", "alone", (), False),
    ("valid-bag-without-its-register-by-known-keys", "alone", (), True),
    ("valid-archive-that-grew-since-a-checkpoint", "all", ("first",), False),
    ("valid-archive-at-its-newest-checkpoint", "all", ("newest",), True),
    ("valid-archive-with-a-checkpoint-at-a-gate", "all", ("gate",), False),
    ("valid-archive-with-every-checkpoint", "all", ("first", "gate", "newest"), True),
    ("valid-bag-with-a-checkpoint", "bag", ("newest",), False),
):
    CASES.append(Case(_name, untouched, holds=True, target=_target, checkpoints=_points, signers=_pinned))

for _name, _target, _papers in (
    ("valid-archive-that-grew-since-a-paper", "all", ("first",)),
    ("valid-archive-with-its-newest-paper", "all", ("first", "newest")),
    ("valid-bag-with-a-paper", "bag", ("newest",)),
):
    CASES.append(Case(_name, untouched, holds=True, target=_target, printed=_papers))

for _name, _target in (
    ("valid-archive-by-known-officials", "all"),
    ("valid-bag-by-known-officials", "bag"),
    ("valid-bag-without-its-register-by-known-officials", "alone"),
):
    CASES.append(Case(_name, untouched, holds=True, target=_target, officials=True))


@case(holds=True, target="all", checkpoints=("first",))
def valid_key_was_added_and_both_are_known(a: Attacked) -> None:
    key = a.strangers_key()
    with (a.root / SIGNERS).open("ab") as file:
        file.write(archive_key.signers_line(key))
    a.sign_head(key)


@case(holds=True, target="all")
def valid_archive_copied_elsewhere(a: Attacked) -> None:
    moved = a.base / "disk"
    shutil.copytree(a.root, moved)
    shutil.rmtree(a.root)
    shutil.copytree(moved, a.root)


# What a failing disk or a careless hand does ------------------------------------------------------------


@case()
def bit_of_the_sop_flipped(a: Attacked) -> None:
    path = a.bag / "data" / "sop.yml"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


@case()
def evidence_edited(a: Attacked) -> None:
    path = min((a.bag / "data" / "evidence").rglob("*.json"))
    path.write_bytes(path.read_bytes().replace(b'"ok"', b'"OK"', 1))


@case()
def plan_emptied(a: Attacked) -> None:
    (a.bag / "data" / "plans" / "1-1.json").write_bytes(b"")


@case()
def document_replaced(a: Attacked) -> None:
    path = min((a.bag / "data" / "documents").iterdir())
    path.write_bytes(path.read_bytes() + b"\n")


@case()
def file_lost(a: Attacked) -> None:
    min((a.bag / "data" / "evidence").rglob("*.json")).unlink()


@case()
def file_renamed(a: Attacked) -> None:
    path = a.bag / "data" / "plans" / "1-1.json"
    path.rename(path.with_name("1-2.json"))


@case()
def file_added(a: Attacked) -> None:
    (a.bag / "data" / "documents" / "more.pdf").write_bytes(b"%PDF-1.7\n")


@case()
def hidden_file_added_beside_the_tag_files(a: Attacked) -> None:
    (a.bag / ".note").write_bytes(b"")


@case()
def empty_folder_added(a: Attacked) -> None:
    (a.bag / "data" / "empty").mkdir()


@case()
def payload_gone(a: Attacked) -> None:
    shutil.rmtree(a.bag / "data")


@case()
def file_is_a_link_to_its_own_content(a: Attacked) -> None:
    path = a.bag / "data" / "sop.yml"
    path.rename(a.base / "sop.yml")
    path.symlink_to(a.base / "sop.yml")


@case()
def file_has_a_second_name_elsewhere(a: Attacked) -> None:
    os.link(a.bag / "data" / "sop.yml", a.base / "sop.yml")


@case()
def folder_is_a_link(a: Attacked) -> None:
    path = a.bag / "data" / "plans"
    path.rename(a.base / "plans")
    path.symlink_to(a.base / "plans")


@case()
def pipe_in_the_place_of_a_file(a: Attacked) -> None:
    path = a.bag / "data" / "more"
    os.mkfifo(path)


@case()
def name_with_a_line_break(a: Attacked) -> None:
    (a.bag / "data" / "sop.yml\ndata").write_bytes(b"")


@case()
def name_that_differs_in_case_only(a: Attacked) -> None:
    shutil.copy(a.bag / "data" / "sop.yml", a.bag / "data" / "SOP.yml")


@case()
def instructions_replaced(a: Attacked) -> None:
    (a.bag / bag.GUIDE).write_text("Semua baik.\n")


@case()
def script_replaced_by_one_that_says_yes(a: Attacked) -> None:
    (a.bag / bag.SCRIPT).write_text("#!/bin/sh\necho SAH\n")


# The journal --------------------------------------------------------------------------------------------


@case()
def outcome_edited_in_the_journal(a: Attacked) -> None:
    a.edit(JOURNAL, b'"outcome":"setuju"', b'"outcome":"batal"')


@case()
def journal_record_dropped(a: Attacked) -> None:
    a.lines(a.bag / JOURNAL, lambda lines: lines.pop(5))


@case()
def journal_records_swapped(a: Attacked) -> None:
    a.lines(a.bag / JOURNAL, lambda lines: lines.insert(4, lines.pop(5)))


@case()
def journal_record_doubled(a: Attacked) -> None:
    a.lines(a.bag / JOURNAL, lambda lines: lines.insert(5, lines[5]))


@case()
def journal_cut_off_after_the_decision(a: Attacked) -> None:
    a.lines(a.bag / JOURNAL, lambda lines: lines.__delitem__(slice(14, None)))


@case()
def journal_cut_off_and_manifests_made_to_fit(a: Attacked) -> None:
    a.lines(a.bag / JOURNAL, lambda lines: lines.pop())
    a.rebag()


@case()
def journal_line_end_lost(a: Attacked) -> None:
    path = a.bag / JOURNAL
    path.write_bytes(path.read_bytes()[:-1])


@case(target="alone")
def journal_rewritten_with_every_hash_made_to_fit(a: Attacked) -> None:
    a.forge(lambda records: records[0]["versions"].update(rawat="9.9"))
    a.rebag()


@case(target="alone")
def journal_record_dropped_with_every_hash_made_to_fit(a: Attacked) -> None:
    records = read_journal(a.bag / "data")
    del records[5]
    (a.bag / JOURNAL).write_bytes(chained(records))
    a.rebag()


# Decisions -----------------------------------------------------------------------------------------------


def statement(a: Attacked) -> Path:
    return a.bag / "data" / "decisions" / "2-1.json"


@case()
def outcome_edited_in_the_statement(a: Attacked) -> None:
    a.edit("data/decisions/2-1.json", b'"setuju"', b'"batal"')


@case()
def signature_removed(a: Attacked) -> None:
    (a.bag / "data" / "decisions" / "2-1.json.sig").unlink()


@case(target="alone")
def signature_of_another_run_with_hashes_made_to_fit(a: Attacked) -> None:
    shutil.copy(a.newest / "data" / "decisions" / "2-1.json.sig", a.bag / "data" / "decisions")
    a.forge(lambda _: None)
    a.rebag()


@case(target="all")
def statement_edited_with_the_stolen_archive_key(a: Attacked) -> None:
    a.edit("data/decisions/2-1.json", b'"reason":"', b'"reason":"Tanpa ')
    a.forge(lambda _: None)
    a.reseal(a.stolen_key)


@case(target="all")
def statement_of_another_run_with_the_stolen_archive_key(a: Attacked) -> None:
    for name in ("2-1.json", "2-1.json.sig"):
        shutil.copy(a.newest / "data" / "decisions" / name, a.bag / "data" / "decisions")
    a.forge(lambda _: None)
    a.reseal(a.stolen_key)


@case(target="all")
def roster_key_replaced_with_the_stolen_archive_key(a: Attacked) -> None:
    path = a.bag / "data" / "allowed_signers"
    line = archive_key.signers_line(a.strangers_key()).split()[2:]
    own = [text.split() for text in path.read_text().splitlines()]
    own[1][2:] = [part.decode() for part in line]
    path.write_text("".join(f"{' '.join(fields)}\n" for fields in own))
    a.reseal(a.stolen_key)


@case(target="newest", blind="the script does not replay the SOP: who may decide is no matter of digests")
def operator_signed_for_the_official_with_the_stolen_archive_key(a: Attacked) -> None:
    path = statement(a)
    said = json.loads(path.read_bytes())
    operator = next(
        o
        for o in json.loads((a.bag / "data/officials.json").read_bytes())["officials"]
        if o["id"] == "petugas"
    )
    person = {**said["person"], "id": operator["id"], "name": operator["name"], "nip": operator["nip"]}
    path.write_bytes(canonical_json({**said, "signer": "petugas", "person": person}))
    a.sign_statement(path, a.officials_keys / "petugas")
    a.forge(
        lambda records: [r.update(person=person) for r in records if r["event"] == "decision_made"] and None
    )
    a.reseal(a.stolen_key)


@case(
    target="newest",
    blind="the script does not compare what a statement says with what the journal says of it",
)
def outcome_other_than_signed_with_the_stolen_archive_key(a: Attacked) -> None:
    a.forge(
        lambda records: [r.update(reason="Lain") for r in records if r["event"] == "decision_made"] and None
    )
    a.reseal(a.stolen_key)


@case(target="newest", blind="the script does not replay the SOP: which record may follow which")
def record_left_out_with_the_stolen_archive_key(a: Attacked) -> None:
    a.forge(
        lambda records: (
            records.pop(
                next(
                    n
                    for n, r in enumerate(records)
                    if r["event"] == "plan_confirmed" or r["event"] == "step_finished"
                )
            )
            and None
        )
    )
    a.reseal(a.stolen_key)


@case(
    target="newest",
    blind="the script does not read evidence: what it says of itself and what the journal says",
)
def evidence_says_otherwise_with_the_stolen_archive_key(a: Attacked) -> None:
    path = min((a.bag / "data" / "evidence").rglob("*.json"))
    path.write_bytes(canonical_json({**json.loads(path.read_bytes()), "status": "failed"}))
    a.forge(lambda _: None)
    a.reseal(a.stolen_key)


# Manifests -----------------------------------------------------------------------------------------------


@case()
def file_dropped_with_its_manifest_line(a: Attacked) -> None:
    min((a.bag / "data" / "evidence").rglob("*.json")).unlink()
    a.rebag()


@case(target="alone")
def file_added_with_manifests_made_to_fit(a: Attacked) -> None:
    (a.bag / "data" / "more").write_bytes(b"")
    a.rebag()


@case(target="alone")
def payload_and_all_manifests_rewritten(a: Attacked) -> None:
    a.edit("data/sop.yml", b"Pemeliharaan Contoh", b"Pemeliharaan Contah")
    a.rebag()


@case()
def manifest_line_doubled(a: Attacked) -> None:
    a.lines(a.bag / bag.MANIFEST, lambda lines: lines.append(lines[-1]))


@case()
def manifest_out_of_order(a: Attacked) -> None:
    a.lines(a.bag / bag.MANIFEST, lambda lines: lines.reverse())


@case()
def manifest_leads_out_of_the_bag(a: Attacked) -> None:
    a.lines(a.bag / bag.MANIFEST, lambda lines: lines.append(b"0" * 64 + b"  /etc/hostname\n"))


@case()
def tag_manifest_leaves_out_the_script(a: Attacked) -> None:
    a.lines(a.bag / TAG_MANIFEST, lambda lines: lines.pop())


@case()
def bag_declared_of_another_version(a: Attacked) -> None:
    a.edit(bag.BAGIT, b"1.0", b"0.97")


@case()
def bag_info_edited(a: Attacked) -> None:
    a.edit(bag.BAG_INFO, b"completed", b"ended")


@case(target="alone")
def bag_info_edited_with_manifests_made_to_fit(a: Attacked) -> None:
    a.edit(bag.BAG_INFO, b"Dinas Contoh", b"Dinas Lain")
    a.rebag()


@case()
def description_edited_with_manifests_made_to_fit(a: Attacked) -> None:
    a.edit(bag.DESCRIPTION, b'"web1"', b'"web9"')
    a.rebag()


@case(target="alone")
def script_replaced_with_manifests_made_to_fit(a: Attacked) -> None:
    (a.bag / bag.SCRIPT).write_text("#!/bin/sh\necho SAH\n")
    a.rebag()


# The archive's own signature -----------------------------------------------------------------------------


@case(target="alone")
def signature_of_another_bag(a: Attacked) -> None:
    shutil.copy(a.newest / bag.SIGNATURE, a.bag)


@case()
def bag_signature_removed(a: Attacked) -> None:
    (a.bag / bag.SIGNATURE).unlink()


@case()
def bag_signature_written_otherwise(a: Attacked) -> None:
    path = a.bag / bag.SIGNATURE
    lines = path.read_bytes().splitlines()
    path.write_bytes(b"\n".join([lines[0], b"".join(lines[1:-1]), lines[-1], b""]))


@case()
def bit_of_a_signature_flipped_that_ssh_keygen_does_not_mind(a: Attacked) -> None:
    path = a.bag / bag.SIGNATURE
    data = path.read_bytes()
    assert b"\nU1NIU0lHAAAAAQ" in data
    path.write_bytes(data.replace(b"\nU1NIU0lHAAAAAQ", b"\nU1NIU0lHAAAAAA", 1))


@case()
def bag_signed_by_a_stranger(a: Attacked) -> None:
    key = a.strangers_key()
    (a.bag / bag.SIGNERS).write_bytes(archive_key.signers_line(key))
    a.rebag()
    (a.bag / bag.SIGNATURE).write_bytes(archive_key.sign((a.bag / TAG_MANIFEST).read_bytes(), key))


@case(target="alone", signers=True)
def bag_made_up_by_a_stranger(a: Attacked) -> None:
    bag_signed_by_a_stranger(a)


@case(target="all", signers=True)
def archive_made_up_by_a_stranger(a: Attacked) -> None:
    a.make_own(a.strangers_key())


@case(target="all", checkpoints=("first",))
def archive_made_up_by_a_stranger_after_a_checkpoint(a: Attacked) -> None:
    a.make_own(a.strangers_key())


@case(target="all", signers=True)
def strangers_key_slipped_in(a: Attacked) -> None:
    key = a.strangers_key()
    with (a.root / SIGNERS).open("ab") as file:
        file.write(archive_key.signers_line(key))
    a.sign_head(key)


# The register --------------------------------------------------------------------------------------------


@case()
def register_line_edited(a: Attacked) -> None:
    data = a.register.read_bytes()
    a.register.write_bytes(data.replace(b'"classification":""', b'"classification":"x"', 1))


@case()
def register_line_dropped(a: Attacked) -> None:
    a.lines(a.register, lambda lines: lines.pop(0))


@case()
def register_lines_swapped(a: Attacked) -> None:
    a.lines(a.register, lambda lines: lines.insert(0, lines.pop(1)))


@case()
def register_line_doubled(a: Attacked) -> None:
    a.lines(a.register, lambda lines: lines.append(lines[-1]))


@case()
def register_cut_off(a: Attacked) -> None:
    a.lines(a.register, lambda lines: lines.pop())


@case(target="all")
def register_cut_off_with_its_newest_archive(a: Attacked) -> None:
    shutil.rmtree(a.newest)
    a.lines(a.register, lambda lines: lines.pop())


@case()
def register_rechained_without_the_key(a: Attacked) -> None:
    head = (a.root / HEAD).read_bytes()
    a.rewrite_register(
        a.stolen_key, lambda records: records[1].update(sealed_at="2020-01-01T00:00:00.000000Z")
    )
    (a.root / HEAD).write_bytes(head)


@case()
def head_of_an_earlier_day(a: Attacked) -> None:
    shutil.copy(a.base / "earlier" / HEAD, a.root)


@case()
def head_removed(a: Attacked) -> None:
    (a.root / HEAD).unlink()


@case()
def head_signed_by_a_stranger(a: Attacked) -> None:
    a.sign_head(a.strangers_key())


@case()
def gate_checkpoint_in_the_place_of_the_head(a: Attacked) -> None:
    shutil.copy(a.outside / "gate.checkpoint", a.root / HEAD)


@case(target="all")
def archive_lost(a: Attacked) -> None:
    shutil.rmtree(a.bag)


@case(target="all")
def archive_that_nobody_registered(a: Attacked) -> None:
    shutil.copytree(a.bag, a.bag.with_name("2026-12-31-contoh-arsip-1"))


@case(target="all")
def file_beside_the_archives(a: Attacked) -> None:
    (a.root / "2026" / "note.txt").write_bytes(b"")


@case()
def one_archive_in_the_place_of_another(a: Attacked) -> None:
    newest = a.newest
    shutil.rmtree(a.bag)
    shutil.copytree(newest, a.root / "2026" / "2026-11-21-contoh-arsip-1")


@case(target="all")
def two_archives_swapped(a: Attacked) -> None:
    one, other = a.bag, a.newest
    one.rename(a.base / "away")
    other.rename(one)
    (a.base / "away").rename(other)


@case()
def archive_moved_to_another_name(a: Attacked) -> None:
    a.places["bag"] = a.bag.rename(a.bag.with_name("2026-01-01-contoh-arsip-9"))


# Truncation and roll-back of all of it, and a forged past ---------------------------------------------------


def put_back(a: Attacked) -> None:
    shutil.rmtree(a.root)
    shutil.copytree(a.base / "earlier", a.root)


@case(holds=True, target="all")
def rolled_back_whole_and_nothing_kept_elsewhere(a: Attacked) -> None:
    """What no judge can see: this is why checkpoints leave the machine."""
    put_back(a)


@case(target="all", checkpoints=("newest",))
def rolled_back_whole_before_a_checkpoint(a: Attacked) -> None:
    put_back(a)


@case(target="bag", checkpoints=("newest",))
def rolled_back_whole_and_only_one_bag_shown(a: Attacked) -> None:
    put_back(a)


@case(target="all", printed=("newest",))
def rolled_back_whole_before_a_paper(a: Attacked) -> None:
    put_back(a)


@case(target="bag", printed=("first", "newest"))
def rolled_back_whole_before_a_paper_and_only_one_bag_shown(a: Attacked) -> None:
    put_back(a)


@case(target="all", checkpoints=("newest",))
def newest_archive_forgotten_with_the_stolen_archive_key(a: Attacked) -> None:
    shutil.rmtree(a.newest)
    a.rewrite_register(a.stolen_key, lambda records: records.pop() and None)


@case(target="all", printed=("newest",))
def newest_archive_forgotten_with_the_stolen_archive_key_before_a_paper(a: Attacked) -> None:
    newest_archive_forgotten_with_the_stolen_archive_key(a)


@case(target="all", printed=("first",))
def archive_made_up_by_a_stranger_after_a_paper(a: Attacked) -> None:
    a.make_own(a.strangers_key())


@case(target="all", checkpoints=("first",))
def past_rewritten_with_the_stolen_archive_key(a: Attacked) -> None:
    a.forge(lambda records: records[0]["versions"].update(rawat="9.9"))
    a.edit(bag.BAG_INFO, b"Rawat-Version: 0.1.0", b"Rawat-Version: 9.9")
    a.reseal(a.stolen_key)


@case(target="all", printed=("first",))
def past_rewritten_with_the_stolen_archive_key_after_a_paper(a: Attacked) -> None:
    past_rewritten_with_the_stolen_archive_key(a)


@case(target="all")
def past_rewritten_with_the_stolen_archive_key_and_told_by_a_later_archive(a: Attacked) -> None:
    """Nothing was kept elsewhere: the documents of the next run print the register as it was."""
    past_rewritten_with_the_stolen_archive_key(a)


@case(target="all", checkpoints=("gate",))
def run_done_again_after_its_gate_with_the_stolen_archive_key(a: Attacked) -> None:
    """The run at whose gate the checkpoint was taken is put in another's words; the register is as it was."""
    second = sorted(a.root.glob("2026/*"))[1]
    a.places["second"] = second
    journal = second / JOURNAL
    records = [json.loads(line) for line in journal.read_bytes().splitlines()]
    records[0]["versions"]["rawat"] = "9.9"
    journal.write_bytes(chained(records))
    path = second / bag.BAG_INFO
    path.write_bytes(path.read_bytes().replace(b"Rawat-Version: 0.1.0", b"Rawat-Version: 9.9"))
    Second(a.base).reseal(a.stolen_key)


class Second(Attacked):
    """The same archive, about its second bag."""

    @property
    def bag(self) -> Path:
        return sorted(self.root.glob("2026/*"))[1]


@case(target="all", checkpoints=("newest",))
def checkpoint_edited(a: Attacked) -> None:
    path = a.outside / "newest.checkpoint"
    path.write_bytes(path.read_bytes().replace(b'"records":2', b'"records":1'))


@case(target="all", checkpoints=("newest",))
def checkpoint_signed_by_a_stranger(a: Attacked) -> None:
    path = a.outside / "newest.checkpoint"
    said = path.read_bytes().splitlines(keepends=True)[0]
    path.write_bytes(said + archive_key.sign(said, a.strangers_key()))


# Destroyed archives, and the papers of the decision ---------------------------------------------------------


def destroyed(a: Attacked) -> Path:
    """Let the newest archive be destroyed as officials decided; return the folder of their papers."""
    return a.destroy(a.newest.name)


@case(holds=True, target="all")
def valid_archive_of_which_one_was_destroyed(a: Attacked) -> None:
    destroyed(a)


@case(holds=True, target="newest")
def valid_bag_that_was_destroyed(a: Attacked) -> None:
    destroyed(a)


@case(holds=True, target="bag")
def valid_bag_beside_one_that_was_destroyed(a: Attacked) -> None:
    destroyed(a)


@case(target="newest")
def file_added_to_a_destroyed_archive(a: Attacked) -> None:
    destroyed(a)
    (a.newest / "laporan.pdf").write_bytes(b"%PDF-1.7\n")


@case(target="all")
def empty_data_folder_added_to_a_destroyed_archive(a: Attacked) -> None:
    destroyed(a)
    (a.newest / "data").mkdir()


@case(target="newest")
def empty_folder_added_to_a_destroyed_archive(a: Attacked) -> None:
    destroyed(a)
    (a.newest / "data2").mkdir()


@case(target="newest")
def empty_folder_added_inside_a_destroyed_archive(a: Attacked) -> None:
    destroyed(a)
    (a.newest / "trust" / "data").mkdir()


@case(target="bag")
def statement_of_a_destruction_edited_and_only_another_bag_shown(a: Attacked) -> None:
    path = destroyed(a) / "statement.json"
    path.write_bytes(path.read_bytes().replace(b"berakhir", b"berlalu", 1))


@case(target="newest")
def minutes_of_a_destruction_edited_and_only_that_bag_shown(a: Attacked) -> None:
    (destroyed(a) / "berita-acara.html").write_bytes(b"<p>Lain</p>")


@case(target="all")
def papers_of_a_destruction_lost(a: Attacked) -> None:
    shutil.rmtree(destroyed(a))


@case(target="newest")
def paper_of_a_destruction_is_a_link_to_its_own_content(a: Attacked) -> None:
    path = destroyed(a) / "statement.json"
    path.rename(a.base / "statement.json")
    path.symlink_to(a.base / "statement.json")


@case(target="newest")
def folder_of_the_papers_is_a_link(a: Attacked) -> None:
    path = destroyed(a).parent
    path.rename(a.base / "retention")
    path.symlink_to(a.base / "retention")


@case(target="newest")
def destroyed_without_a_decision_with_the_stolen_archive_key(a: Attacked) -> None:
    shutil.rmtree(a.newest / "data")
    removed = {"at": "2027-01-01T00:00:00.000000Z", "event": "removed", "run": a.newest.name, "decision": 2}
    a.rewrite_register(a.stolen_key, lambda records: records.append(removed))


@case(target="all")
def destroyed_on_the_decision_about_another_with_the_stolen_archive_key(a: Attacked) -> None:
    destroyed(a)
    shutil.rmtree(a.bag / "data")
    removed = {"at": "2027-01-01T00:00:00.000000Z", "event": "removed", "run": a.bag.name, "decision": 3}
    a.rewrite_register(a.stolen_key, lambda records: records.append(removed))


@case(target="newest")
def destroyed_on_a_decision_to_keep_with_the_stolen_archive_key(a: Attacked) -> None:
    destroyed(a)
    a.rewrite_register(a.stolen_key, lambda records: records[2].update(fate="simpan"))


@case(target="newest")
def signatures_of_a_destruction_left_out_with_the_stolen_archive_key(a: Attacked) -> None:
    for signature in destroyed(a).glob("*.sig"):
        signature.unlink()

    def leave_out(records: list[dict[str, Any]]) -> None:
        records[2]["files"] = [f for f in records[2]["files"] if not f["path"].endswith(".sig")]

    a.rewrite_register(a.stolen_key, leave_out)


@case(target="newest")
def run_slipped_into_a_signed_destruction_with_the_stolen_archive_key(a: Attacked) -> None:
    destroyed(a)
    shutil.rmtree(min(a.root.glob("2026/*")) / "data")

    def slip_in(records: list[dict[str, Any]]) -> None:
        first = {key: records[0][key] for key in ("run", "tagmanifest_sha256")}
        records[2]["runs"].insert(0, first)
        records.append({**records[3], "run": first["run"]})

    a.rewrite_register(a.stolen_key, slip_in)


@case(target="newest")
def destruction_dated_back_with_the_stolen_archive_key(a: Attacked) -> None:
    destroyed(a)
    a.rewrite_register(a.stolen_key, lambda records: records[2].update(at="2026-12-01T00:00:00.000000Z"))


@case(target="all")
def paper_of_a_destruction_outside_the_archive_with_the_stolen_archive_key(a: Attacked) -> None:
    path = destroyed(a) / "berita-acara.html"
    shutil.move(path, a.base / "berita-acara.html")

    def lead_out(records: list[dict[str, Any]]) -> None:
        for file in records[2]["files"]:
            if file["path"].endswith(".html"):
                file["path"] = "../berita-acara.html"

    a.rewrite_register(a.stolen_key, lead_out)


# Links in the place of folders, above the bags and of them --------------------------------------------------


def linked(path: Path, away: Path) -> None:
    """Put a link out of the archive in the place of a folder."""
    path.rename(away)
    path.symlink_to(away)


@case(target="all")
def bag_is_a_link_out_of_the_archive(a: Attacked) -> None:
    linked(a.bag, a.base / "away")


@case()
def bag_is_a_link_out_of_the_archive_and_only_it_is_shown(a: Attacked) -> None:
    a.places["bag"] = a.bag
    linked(a.bag, a.base / "away")


@case(target="alone")
def bag_without_its_register_is_a_link(a: Attacked) -> None:
    a.places["bag"] = a.base / "link"
    a.places["bag"].symlink_to(a.bag)


@case(target="all")
def year_is_a_link_out_of_the_archive(a: Attacked) -> None:
    linked(a.root / "2026", a.base / "away")


@case(target="all")
def year_is_a_link_to_a_folder_with_something_more(a: Attacked) -> None:
    linked(a.root / "2026", a.base / "away")
    (a.base / "away" / "more").mkdir()


@case()
def year_is_a_link_out_of_the_archive_and_only_one_bag_shown(a: Attacked) -> None:
    linked(a.root / "2026", a.base / "away")


@case(target="all")
def year_lost(a: Attacked) -> None:
    shutil.rmtree(a.root / "2026")


@case(target="all")
def register_is_a_link_to_nothing(a: Attacked) -> None:
    a.register.unlink()
    a.register.symlink_to("/nowhere")


@case()
def register_is_a_link_to_nothing_and_only_one_bag_shown(a: Attacked) -> None:
    register_is_a_link_to_nothing(a)


@case(target="all")
def bag_outside_the_archive_with_the_stolen_archive_key(a: Attacked) -> None:
    run = a.bag.name
    a.bag.rename(a.base / run)
    place = {"classification": "../..", "path": f"2026/../../{run}"}
    a.rewrite_register(a.stolen_key, lambda records: records[0].update(place))


# What the stolen archive key signs beside the archives ------------------------------------------------------


@case(target="bag")
def time_of_the_head_edited_with_the_stolen_archive_key(a: Attacked) -> None:
    said = json.loads((a.root / HEAD).read_bytes().splitlines()[0])
    edited = canonical_json({**said, "at": "2020-01-01T00:00:00.000000Z"})
    (a.root / HEAD).write_bytes(edited + archive_key.sign(edited, a.stolen_key))


@case(target="newest")
def time_of_sealing_edited_with_the_stolen_archive_key(a: Attacked) -> None:
    a.rewrite_register(
        a.stolen_key, lambda records: records[-1].update(sealed_at="2020-01-01T00:00:00.000000Z")
    )


@case(target="all")
def record_of_no_kind_in_the_register_with_the_stolen_archive_key(a: Attacked) -> None:
    note = {"at": "2027-01-01T00:00:00.000000Z", "event": "note", "text": "Semua baik"}
    a.rewrite_register(a.stolen_key, lambda records: records.append(note))


@case(target="all")
def more_in_a_record_of_the_register_with_the_stolen_archive_key(a: Attacked) -> None:
    destroyed(a)
    a.rewrite_register(a.stolen_key, lambda records: records[2]["files"][0].update(note="Semua baik"))


@case(target="all")
def time_of_a_removal_is_none_with_the_stolen_archive_key(a: Attacked) -> None:
    destroyed(a)
    a.rewrite_register(a.stolen_key, lambda records: records[3].update(at="kemarin"))


@case(target="newest")
def outcome_of_the_run_edited_in_bag_info_with_the_stolen_archive_key(a: Attacked) -> None:
    a.edit(bag.BAG_INFO, b"completed", b"ended")
    a.reseal(a.stolen_key)


@case(
    target="newest",
    blind="the script does not make bag-info.txt and metadata/arsip.json anew out of the record",
)
def description_edited_with_the_stolen_archive_key(a: Attacked) -> None:
    a.edit(bag.DESCRIPTION, b'"web1"', b'"web9"')
    a.edit(bag.BAG_INFO, b"Dinas Contoh", b"Dinas Lain")
    a.reseal(a.stolen_key)


# Officials who are none -----------------------------------------------------------------------------------


def made_up_officials(a: Attacked) -> Path:
    """Return a folder with keys under the names of the office's officials that are not theirs."""
    keys = a.base / "made-up"
    make_keys(keys)
    return keys


def officials_replaced(a: Attacked) -> None:
    """Put other keys in the place of all officials', sign all their statements anew, and seal it again."""
    keys = made_up_officials(a)
    roster = json.loads((a.bag / "data" / "officials.json").read_bytes())
    signers = a.bag / "data" / "allowed_signers"
    for official in roster["officials"]:
        key = " ".join((keys / f"{official['id']}.pub").read_text().split()[:2])
        signers.write_text(signers.read_text().replace(official["key"], key))
        official["key"] = key
    data = canonical_json(roster)
    (a.bag / "data" / "officials.json").write_bytes(data)
    for path in sorted((a.bag / "data" / "decisions").glob("*.json")):
        said = json.loads(path.read_bytes())
        path.write_bytes(canonical_json({**said, "reason": "Karangan"}))
        a.sign_statement(path, keys / said["signer"])

    def change(records: list[dict[str, Any]]) -> None:
        records[0]["officials_sha256"] = sha256_hex(data)
        for record in records:
            if record["event"] == "decision_made":
                record["reason"] = "Karangan"

    a.forge(change)
    a.reseal(a.stolen_key)


@case(holds=True, target="newest")
def all_officials_replaced_with_the_stolen_archive_key_and_none_known(a: Attacked) -> None:
    """What no judge can see who does not know the officials' keys: this is why they are kept elsewhere."""
    officials_replaced(a)


@case(target="newest", officials=True)
def all_officials_replaced_with_the_stolen_archive_key(a: Attacked) -> None:
    officials_replaced(a)


@case(target="all", officials=True)
def all_officials_replaced_with_the_stolen_archive_key_in_the_whole(a: Attacked) -> None:
    a.places["second"] = a.newest
    officials_replaced(Second(a.base))


@case(target="alone", officials=True)
def all_officials_replaced_in_a_bag_without_its_register(a: Attacked) -> None:
    officials_replaced(a)


@case(target="bag", officials=True)
def keys_of_officials_known_under_each_other_s_names(a: Attacked) -> None:
    """As if one had signed for the other: a key counts for its own official and no other."""
    roster = json.loads((a.newest / "data" / "officials.json").read_bytes())
    one, other = (official["key"] for official in roster["officials"])
    swapped = (a.outside / OFFICIALS).read_text()
    (a.outside / OFFICIALS).write_text(swapped.replace(one, "-").replace(other, one).replace("-", other))


@case(target="bag", officials=True)
def destroyed_by_officials_who_are_none_with_the_stolen_archive_key(a: Attacked) -> None:
    a.destroy(a.newest.name, made_up_officials(a))


@case(holds=True, target="bag")
def destroyed_by_officials_who_are_none_and_none_known(a: Attacked) -> None:
    """As above: who the officials are has to be known from elsewhere."""
    a.destroy(a.newest.name, made_up_officials(a))


@case(holds=True, target="all", officials=True)
def valid_archive_of_which_one_was_destroyed_by_known_officials(a: Attacked) -> None:
    destroyed(a)


# A run that was begun and never sealed --------------------------------------------------------------------


@case(holds=True, target="all", checkpoints=("gate",))
def run_known_by_its_gate_never_sealed_and_gone(a: Attacked) -> None:
    """An open run is elsewhere; both judges name it, and that it was not held against its checkpoint."""
    put_back(a)


def write_cases(base: Path, folder: Path) -> None:
    """Write every case to ``folder`` as NAME/ with archive, outside and ``case.json``, for other judges."""
    for entry in CASES:
        place = folder / entry.name
        shutil.copytree(base, place, symlinks=True)
        attacked = Attacked(
            place, entry.target, entry.checkpoints, entry.signers, entry.officials, entry.printed
        )
        entry.make(attacked)
        told = {
            "holds": entry.holds,
            "judged": str(attacked.judged.relative_to(place)),
            "checkpoints": [f"outside/{name}.checkpoint" for name in entry.checkpoints],
            "signers": "outside/arsip.signers" if entry.signers else None,
            "officials": f"outside/{OFFICIALS}" if entry.officials else None,
            "printed": attacked.papers,
            "blind": entry.blind,
        }
        (place / "case.json").write_text(json.dumps(told, indent=2) + "\n")


__all__ = ["CASES", "REGISTER", "Case", "write_cases"]
