"""The head of the archive's register in the footers of documents: what was cut off shows from paper."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from runner import archive, archive_key, cli, errors, record, register, report, verify
from runner.checkpoint import EMPTY, Chain
from runner.engine import Closed
from runner.outside import Outside
from runner.run_view import document_view
from runner.workspace import RunFolder
from scenarios.forgery import find, forge
from scenarios.office import Office, events_of


def sealed_in(office: Office) -> Path:
    """Return where the office's archive is."""
    return office.root / "sealed"


def sealed_run(office: Office) -> RunFolder:
    """Return a run whose documents print the real register, sealed in it."""
    office.register_head = lambda known: register.signed_head(sealed_in(office), known)
    folder = office.start()
    decisions = {step.no: [step.decision.outcomes[0].name] for step in office.sop.steps if step.decision}
    assert isinstance(office.go_on(folder, decisions), Closed)
    archive.seal(folder, sealed_in(office))
    return folder


def printed(folder: RunFolder) -> list[Chain]:
    return [Chain.model_validate(made["archive"]) for made in events_of(folder, "document_written")]


def footer(folder: RunFolder) -> str:
    """Return what the newest document of a run prints of the register."""
    now, made = record.load(folder), events_of(folder, "document_written")[-1]
    at, head = made["as_of"], Chain.model_validate(made["archive"])
    view = document_view(now.at(at), "disposisi", made["version"], made["step"], made["attempt"], at, head)
    page = re.sub("<[^>]+>", "", report.render_html(view))
    return next(line.strip() for line in page.splitlines() if "Buku register" in line)


def as_typed(text: str) -> str:
    """Return a footer as an auditor types it: the number, a colon, the digest."""
    count, digest = re.findall(r"([0-9]+) catatan · ([0-9a-f]{16})", text)[0]
    return f"{count}:{digest}"


def cut_off(root: Path, keep: int) -> None:
    """Take the newest archives away, as who has the archive's own key can: all of it fits again."""
    lines = (root / register.NAME).read_bytes().splitlines(keepends=True)
    for entry in register.parse(b"".join(lines))[keep:]:
        assert isinstance(entry, register.Entry)
        shutil.rmtree(root / entry.path)
    (root / register.NAME).write_bytes(b"".join(lines[:keep]))
    said = register.checkpoint(register.parse(b"".join(lines[:keep])), (root / register.SIGNERS).read_bytes())
    key = archive_key.key_beside(root)
    (root / register.HEAD).write_bytes(said.data + archive_key.sign(said.data, key))


def test_the_first_run_prints_an_empty_register_and_the_next_ones_its_head(contoh: Office) -> None:
    runs = [sealed_run(contoh) for _ in range(3)]
    heads = [register.EMPTY.head, *register.digests(register_lines(contoh))]

    assert [{head.records for head in printed(run)} for run in runs] == [{0}, {1}, {2}]
    assert [{head.head for head in printed(run)} for run in runs] == [{head} for head in heads[:3]]
    assert footer(runs[0]) == "Buku register: belum ada catatan"
    assert footer(runs[2]) == f"Buku register: 2 catatan · {heads[2][:16]}"
    assert verify.verify(sealed_in(contoh)).kind == "register"


def register_lines(office: Office) -> list[register.Line]:
    return register.parse((sealed_in(office) / register.NAME).read_bytes())


def test_a_register_that_was_cut_off_and_signed_anew_is_found_by_a_footer(contoh: Office) -> None:
    for _ in range(2):
        sealed_run(contoh)
    paper = as_typed(footer(sealed_run(contoh)))
    root = sealed_in(contoh)
    assert verify.verify(root, Outside(printed=(paper,))).held.checkpoints == 1
    cut_off(root, 1)
    assert verify.verify(root).run == "1"

    with pytest.raises(
        errors.VerificationError, match=r"has 1 records, and the footer that says 2:\w+ knows 2"
    ):
        verify.verify(root, Outside(printed=(paper,)))

    told = CliRunner().invoke(cli.app, ["verify", str(root), "--printed", paper])
    assert told.exit_code == 5 or isinstance(told.exception, errors.VerificationError)


def test_a_register_that_was_written_anew_is_found_by_a_footer_and_by_a_later_archive(contoh: Office) -> None:
    first = sealed_run(contoh)
    second = sealed_run(contoh)
    paper = as_typed(footer(second))
    root = sealed_in(contoh)
    shutil.rmtree(root)
    forge(first.path, lambda records: find(records, "run_started").update(versions={}))
    archive.seal(first, root)

    with pytest.raises(errors.VerificationError, match="history was rewritten"):
        verify.verify(root, Outside(printed=(paper,)))
    archive.seal(second, root)
    with pytest.raises(errors.VerificationError, match="history was rewritten"):
        verify.verify(root)


def test_a_register_shorter_than_an_earlier_document_of_the_run_stops_it(contoh: Office) -> None:
    sealed_run(contoh)
    contoh.register_head = lambda known: register.signed_head(sealed_in(contoh), known)
    folder = contoh.start()
    contoh.go_on(folder, {})
    assert printed(folder)[-1].records == 1
    cut_off(sealed_in(contoh), 0)

    decisions = {step.no: [step.decision.outcomes[0].name] for step in contoh.sop.steps if step.decision}
    with pytest.raises(errors.VerificationError, match="an earlier document of this run knows 1"):
        contoh.go_on(folder, decisions)


def test_a_journal_in_which_the_register_went_back_is_refused(contoh: Office) -> None:
    sealed_run(contoh)
    folder = sealed_run(contoh)

    def back(records: list[dict[str, object]]) -> None:
        made = [one for one in records if one["event"] == "document_written"]
        made[-1]["archive"] = EMPTY.model_dump()

    forge(folder.path, back)
    with pytest.raises(errors.VerificationError, match="its register has 0 records, 1 were known"):
        verify.verify(folder.path)


@pytest.mark.parametrize("text", ["12", "0:" + "a" * 16, "1:" + "a" * 8, "1:" + "g" * 16])
def test_what_no_footer_says_is_told_so(contoh: Office, text: str) -> None:
    sealed_run(contoh)

    with pytest.raises(errors.InputError, match="is not what a footer says of the register"):
        verify.verify(sealed_in(contoh), Outside(printed=(text,)))


def test_a_run_has_no_register_to_hold_a_footer_against(contoh: Office) -> None:
    folder = sealed_run(contoh)

    with pytest.raises(errors.InputError, match="without its register"):
        verify.verify(folder.path, Outside(printed=("1:" + "a" * 16,)))
