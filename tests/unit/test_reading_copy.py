"""Copies in English of documents with annexes: every annex has one, and it names the file that counts."""

from __future__ import annotations

import dataclasses
import hashlib
import io
from pathlib import Path
from typing import Any

import pikepdf
import pytest
from sample_run import SampleRun, whole_run

from runner import errors, reading_copy, report
from runner.annex import annexes
from runner.files import write_once
from runner.journal import Event
from runner.language import reading
from runner.record import Record
from runner.report import Original
from runner.run_view import document_view
from runner.translations import language_of

LOG = ("catatan-update", "final")


@pytest.fixture(autouse=True)
def _six_hosts_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("view", "annex"):
        monkeypatch.setattr(f"runner.{module}.MOST_TOLD", 3)


@pytest.fixture(scope="module", name="sample")
def _sample(tmp_path_factory: pytest.TempPathFactory) -> SampleRun:
    return whole_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(name="logged")
def _logged(sample: SampleRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Record, Event]:
    """Return the sample run and the record of its log, though of PDFs only that they are some."""

    def made_up(html: str, title: str, *_: Any, **__: Any) -> bytes:  # noqa: ANN401 - what render_pdf takes
        return f"%PDF {title} {hashlib.sha256(html.encode()).hexdigest()}".encode()

    def written(*told: Any, **_: Any) -> None:  # noqa: ANN401 - what write_pdf takes
        write_once(told[4], made_up(*told))

    monkeypatch.setattr(report, "render_pdf", made_up)
    for module in (report, reading_copy):
        monkeypatch.setattr(module, "write_pdf", written)
    now = sample.record()
    facts = sample.marks[LOG]
    made = report.build_document(now, *LOG, *facts, tmp_path / "documents")
    files = [
        {"path": f"documents/{path.name}", "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for path in made
    ]
    event = next(e for e in now.events if e.name == "document_written" and e["as_of"] == facts[2])
    return now.at(facts[2]), dataclasses.replace(event, fields={**event.fields, "files": files})


def copied(logged: tuple[Record, Event], folder: Path) -> list[Path]:
    return list(reading_copy._write_copy(*logged, language_of("en"), folder, None))


def test_every_annex_has_a_copy_beside_that_of_its_document(
    logged: tuple[Record, Event], tmp_path: Path
) -> None:
    made = copied(logged, tmp_path / "copies")

    stem = "07-1-catatan-update-final"
    assert [path.name for path in made] == [f"{stem}.en.pdf", f"{stem}.lampiran-1.en.pdf"]
    assert made[1].read_bytes().startswith(b"%PDF Annex 1 to the Note on Updates/Repairs ")
    assert made[1].stat().st_mode & 0o777 == 0o600
    # What the document that counts is made of: its own annex, by that file's digest.
    assert logged[1]["files"][2]["sha256"] in made[0].with_suffix(".html").read_text(encoding="utf-8")


def test_a_document_that_would_have_other_annexes_now_is_not_copied(
    logged: tuple[Record, Event], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runner.annex.MOST_ROWS", 3)

    with pytest.raises(errors.VerificationError, match="was made with 1 annexes, and would have"):
        copied(logged, tmp_path / "copies")
    assert not (tmp_path / "copies").exists()


def test_the_annex_as_pdf_says_its_language_and_what_it_is_a_copy_of(sample: SampleRun) -> None:
    original = Original("catatan.lampiran-1.pdf", "5" * 64, "7" * 64)
    with reading(language_of("en")):
        view = document_view(sample.record(), *LOG, *sample.marks[LOG])
        (annex,) = annexes(view)
        html = report.annex_html(view, annex, original)
        made = report.annex_pdf(view, annex, original)

    assert "TRANSLATION for reading; the Indonesian document is the one signed" in html
    assert "<b>TRANSLATION</b> of catatan.lampiran-1.pdf, SHA-256" in html
    assert "5" * 16 in html
    assert f'data <span class="mono">{"7" * 16}</span>' in html
    assert f'<td><span lang="id">{view.sop.name}</span></td>' in html
    with pikepdf.open(io.BytesIO(made)) as pdf:
        assert str(pdf.Root["/Lang"]) == "en"
        assert sorted(pdf.attachments) == ["hosts.csv", "updates.csv"]


def test_a_copy_carries_no_signature_and_names_the_file_that_does(sample: SampleRun) -> None:
    original = Original("catatan.pdf", "5" * 64, "7" * 64)
    signed = dataclasses.replace(original, signed=("catatan.signed-2.pdf", "9" * 64))
    with reading(language_of("en")):
        view = document_view(sample.record(), *LOG, *sample.marks[LOG])
        one = report.render_html(view, original)
        two = report.render_html(view.model_copy(update={"electronic": "copy"}), signed)
        three = report.render_html(view.model_copy(update={"electronic": "signed"}), original)

    for html in (one, two, three):
        assert "This reading copy carries no signature." in html
        assert "Valid once" not in html
    assert "Signed electronically" not in one
    assert 'Signed electronically: <span class="breakable">catatan.signed-2.pdf</span>, SHA-256' in two
    assert "9" * 16 in two
    assert "No electronic signature is recorded on that document." in three


ROUNDS = {
    # Sent back once: what the second round signed has nothing to do with the first.
    "draft 1": None,
    "verified 1": "verified-1-signed",
    "draft 2": None,
    "verified 2": "ratified-2-signed",
    "ratified 2": "ratified-2-signed",
    # Here nobody signed what was verified: what was ratified is signed alone.
    "verified 3": None,
    "ratified 3": "ratified-3-signed",
}
"""Version and round of a document as they were written -> the signed file that its copy names."""


def test_a_copy_names_the_newest_signed_file_of_its_own_document(sample: SampleRun) -> None:
    now = sample.record()

    def told(seq: int, name: str, said: str, document: str = "laporan") -> Event:
        version, _, number = said.partition(" ")
        file = {"path": f"documents/{version}-{number}-signed.pdf", "sha256": said}
        fields = {"document": document, "version": version, "files": [file]}
        return dataclasses.replace(now.events[-1], seq=seq, name=name, fields=fields)

    signed = {"verified 1", "verified 2", "ratified 2", "ratified 3"}
    events = []
    for at, said in enumerate(ROUNDS):
        events.append(told(10 * at, "document_written", said))
        events.append(told(10 * at + 1, "document_written", said, "disposisi"))
        events += [told(10 * at + 2, "document_signed", said)] if said in signed else []
    run = dataclasses.replace(now, events=tuple(events))

    found = {
        f"{e['version']} {e['files'][0]['sha256'][-1]}": reading_copy._signed(run, e)
        for e in events
        if e.name == "document_written" and e["document"] == "laporan"
    }
    assert {said: file and file[0].removesuffix(".pdf") for said, file in found.items()} == ROUNDS
    assert reading_copy._signed(run, events[1]) is None
