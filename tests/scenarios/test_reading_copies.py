"""Copies of a run's documents in English: made from the record, marked, and beside it only."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import tempfile
from dataclasses import dataclass
from html import unescape
from pathlib import Path

import pikepdf
import pytest
from certificates import Authority, authority
from typer.testing import CliRunner, Result
from unit.sample_run import backed_up, checked

from runner import archive, cli, reading_copy, record, report
from runner.checkpoint import Chain
from runner.engine import Closed, Unsigned, Waiting
from runner.executors.base import HostResult
from runner.files import write_once
from runner.judges.base import at_most
from runner.officials import Roster
from runner.record import Record
from runner.run_view import document_view
from runner.sop import Output
from runner.workspace import RunFolder
from scenarios.conftest import MakeOffice
from scenarios.office import HOSTS, events_of
from scenarios.test_document_signing import APPROVED, SOP, hand, signing_office, taker

MARK = "TRANSLATION for reading; the Indonesian document is the one signed"
STEMS = [
    "04-1-berita-acara-uji-pulih-draft",
    "06-1-berita-acara-uji-pulih-verified",
    "07-1-berita-acara-uji-pulih-ratified",
]


@dataclass(frozen=True)
class Made:
    """A run with real documents, its archive, and how to speak to it."""

    folder: RunFolder
    bag: Path

    def rawat(self, *arguments: str) -> Result:
        return CliRunner().invoke(cli.app, ["documents", *arguments])


def in_folder(  # noqa: PLR0917 - the engine's contract
    now: Record, output: Output, step: int, attempt: int, as_of: int, head: Chain
) -> tuple[Path, ...]:
    """Build a document as the command line's engine does."""
    name = output.document or ""
    return report.build_document(now, name, output.version, step, attempt, as_of, now.folder.documents, head)


def bytes_of(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module", name="drill")
def _drill(quick_dir: Path, root: Path, make_office: MakeOffice, roster: Roster) -> Made:
    """Return a restore drill, done to its end and sealed."""
    base = Path(tempfile.mkdtemp(dir=quick_dir))
    office = make_office(base / "office", root / "sops" / "contoh-uji-pulih-cadangan.yml", officials=roster)
    office.builds = in_folder
    well = checked(at_most("memory", "", 40, "%", 90, 97))
    for row, role, said in ((3, "check_host", lambda _: well), (4, "back_up_host", backed_up)):
        office.playbooks.answer(row, "1", {h: HostResult(h, "ok", {role: said(h)}) for h in HOSTS})
    folder = office.start()
    with pytest.MonkeyPatch.context() as patched:
        # Of the run's own PDFs only the digests count here; those of the copies are real.
        patched.setattr(report, "write_pdf", lambda *told, **_: write_once(told[4], b"%PDF made up"))
        stop = office.go_on(folder, {2: ["diperintahkan"], 5: ["lulus"], 7: ["disahkan"]})
    assert isinstance(stop, Closed)
    return Made(folder, archive.seal(folder, base / "archive"))


@pytest.fixture(scope="module", name="copies")
def _copies(drill: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the copies; the record was the same before and after they were made."""
    to = tmp_path_factory.mktemp("reading") / "copies"
    before = bytes_of(drill.folder.path), bytes_of(drill.bag)
    done = drill.rawat(str(drill.folder.path), "--lang", "en", "--to", str(to))
    assert done.exit_code == 0, done.output
    assert "for reading only: the documents of the run are the ones signed" in done.output
    assert (bytes_of(drill.folder.path), bytes_of(drill.bag)) == before
    return to


def test_there_is_a_copy_of_every_document_for_its_owner_only(copies: Path) -> None:
    made = sorted(copies.iterdir())

    assert [path.name for path in made] == [f"{s}.en.{kind}" for s in STEMS for kind in ("html", "pdf")]
    assert {path.stat().st_mode & 0o777 for path in made} == {0o600}
    assert copies.stat().st_mode & 0o777 == 0o700


def test_a_copy_is_marked_and_names_the_document_that_counts(drill: Made, copies: Path) -> None:
    for stem in STEMS:
        html = unescape((copies / f"{stem}.en.html").read_text(encoding="utf-8"))
        official = (drill.folder.documents / f"{stem}.pdf").read_bytes()

        assert '<html lang="en">' in html
        assert html.count(MARK) == 1
        assert f"<b>TRANSLATION</b> of {stem}.pdf, SHA-256" in html
        assert hashlib.sha256(official).hexdigest()[:16] in html
        assert html.count("(not to be signed)") >= 1
        data = (drill.folder.documents / f"{stem}.json").read_bytes()
        assert f'data <span class="mono">{hashlib.sha256(data).hexdigest()[:16]}</span>' in html


def test_the_pdf_says_in_which_language_it_is(drill: Made, copies: Path) -> None:
    with pikepdf.open(copies / f"{STEMS[2]}.en.pdf") as pdf:
        title = str(pdf.docinfo["/Title"])
        language, tagged = str(pdf.Root["/Lang"]), bool(pdf.Root["/MarkInfo"]["/Marked"])
        data = json.loads(bytes(pdf.attachments[f"{STEMS[2]}.json"].get_file().read_bytes()))
        table = pdf.attachments["hosts.csv"].get_file().read_bytes().decode("utf-8-sig")

    assert title.startswith("Minutes on the Restore Test of Backups \N{EN DASH} 2026-")
    assert (language, tagged) == ("en", True)
    assert data == json.loads((drill.folder.documents / f"{STEMS[2]}.json").read_bytes())
    assert table.splitlines()[0].startswith("host,result,planned,")


def test_copies_of_the_archive_are_those_of_the_run(
    drill: Made, copies: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What a PDF is laid out from is compared; tests/unit/test_pdf.py has that it comes out the same.
    monkeypatch.setattr(reading_copy, "write_pdf", lambda *_, **__: None)

    done = drill.rawat(str(drill.bag), "--lang", "en", "--to", str(tmp_path / "of-the-archive"))

    assert done.exit_code == 0, done.output
    pages = {name: digest for name, digest in bytes_of(copies).items() if name.endswith(".html")}
    assert bytes_of(tmp_path / "of-the-archive") == pages


def test_who_made_copies_makes_the_documents_as_before(drill: Made, copies: Path) -> None:
    assert copies.is_dir()
    now = record.load(drill.folder)
    for one, stem in zip(events_of(drill.folder, "document_written"), STEMS, strict=True):
        facts = one["document"], one["version"], one["step"], one["attempt"], one["as_of"]
        html = report.render_html(document_view(now.at(one["as_of"]), *facts))

        assert html.encode() == (drill.folder.documents / f"{stem}.html").read_bytes()


def test_where_copies_may_not_go(drill: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAWAT_RUNS", str(drill.folder.path.parent))
    monkeypatch.setenv("RAWAT_ARCHIVE", str(drill.bag.parent.parent))
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "letter.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    run = str(drill.folder.path)

    def refused(*arguments: str) -> str:
        done = drill.rawat(run, *arguments)
        assert isinstance(done.exception, Exception)
        return str(done.exception)

    assert "is inside of" in refused("--lang", "en", "--to", str(drill.folder.path / "copies"))
    assert "is inside of" in refused("--lang", "en", "--to", str(drill.bag.parent / "copies"))
    assert "is not a new or an empty folder" in refused("--lang", "en", "--to", str(tmp_path / "full"))
    assert "is not a new or an empty folder" in refused("--lang", "en", "--to", str(tmp_path / "file"))
    assert "--lang needs --to" in refused("--lang", "en")
    assert "--to needs --lang" in refused("--to", str(tmp_path / "new"))
    assert "cannot be read in 'de'" in refused("--lang", "de", "--to", str(tmp_path / "new"))
    assert not (tmp_path / "new").exists()


def test_a_record_that_gives_another_document_is_not_translated(
    quick_dir: Path, root: Path, make_office: MakeOffice, roster: Roster, tmp_path: Path
) -> None:
    """The documents of this run are made up: none of them says what the record says."""
    base = Path(tempfile.mkdtemp(dir=quick_dir))
    office = make_office(base / "office", root / "sops" / "contoh-uji-pulih-cadangan.yml", officials=roster)
    office.playbooks.answer(4, "1", {h: HostResult(h, "ok", {"back_up_host": backed_up(h)}) for h in HOSTS})
    folder = office.start()
    assert isinstance(office.go_on(folder, {2: ["diperintahkan"]}), Waiting)

    done = CliRunner().invoke(
        cli.app, ["documents", str(folder.path), "--lang", "en", "--to", str(tmp_path / "x")]
    )

    assert re.search(r"documents/\S+: is not what is built from the record now", str(done.exception))
    assert not (tmp_path / "x").exists()


# Of documents that were signed electronically ------------------------------------------------------------

VERIFIED, RATIFIED = "02-1-berita-acara-uji-pulih-verified", "03-1-berita-acara-uji-pulih-ratified"
DRAFT = "01-1-berita-acara-uji-pulih-draft"


@pytest.fixture(scope="module", name="issuer")
def _issuer() -> Authority:
    return authority()


def named_in(run: Path, to: Path) -> dict[str, str]:
    """Make the copies of a run or an archive, and return of each what it says of signatures."""
    done = CliRunner().invoke(cli.app, ["documents", str(run), "--lang", "en", "--to", str(to)])
    assert done.exit_code == 0, done.output
    pages = {path.name.removesuffix(".en.html"): path.read_text("utf-8") for path in to.glob("*.html")}
    assert all(html.count("This reading copy carries no signature.") == 1 for html in pages.values())
    return {
        stem: re.sub(r"<[^>]+>", "", html.split("carries no signature.", 1)[1].split("</p>", 1)[0]).strip()
        for stem, html in pages.items()
    }


def test_through_a_run_that_is_signed_the_copies_name_the_newest_signed_file(
    quick_dir: Path,
    make_office: MakeOffice,
    issuer: Authority,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two officials sign one real document with certificates; after each signature there is a copy anew."""
    office = signing_office(quick_dir, make_office, issuer, {"by": "pkcs12"})
    text = SOP.replace("document: laporan", "document: berita-acara-uji-pulih")
    office = dataclasses.replace(office, sop_text=text, builds=in_folder)
    (office.root / "report_templates" / "berita-acara-uji-pulih.html.j2").touch()
    for official in ("pranata", "kabid"):
        issuer.issue(f"Nama {official.title()}", tmp_path / f"{official}.p12")
    monkeypatch.setattr(reading_copy, "write_pdf", lambda *told, **_: write_once(told[4], b"%PDF made up"))
    folder = office.start()

    def copies(name: str, run: Path = folder.path) -> dict[str, str]:
        before = bytes_of(run)
        told = named_in(run, tmp_path / name)
        assert bytes_of(run) == before
        return told

    def naming(stem: str) -> str:
        digest = hashlib.sha256((folder.documents / f"{stem}.pdf").read_bytes()).hexdigest()
        return f"Signed electronically: {stem}.pdf, SHA-256 {digest[:16]}."

    unsigned = "No electronic signature is recorded on that document."
    assert isinstance(office.go_on(folder, APPROVED), Unsigned)
    assert copies("before") == {DRAFT: "", VERIFIED: unsigned}

    taker(office, folder).sign(hand(tmp_path, "pranata"))
    assert isinstance(office.go_on(folder, APPROVED), Unsigned)
    first = naming(f"{VERIFIED}-signed")
    assert copies("once") == {DRAFT: "", VERIFIED: first, RATIFIED: first}

    taker(office, folder).sign(hand(tmp_path, "kabid"))
    assert isinstance(office.go_on(folder, APPROVED), Closed)
    second = naming(f"{RATIFIED}-signed")
    assert second != first
    assert copies("twice") == {DRAFT: "", VERIFIED: second, RATIFIED: second}

    bag = archive.seal(folder, tmp_path / "archive")
    assert copies("sealed", bag) == copies("again")
    assert_notes_of_signatures(folder, tmp_path / "sealed")


def assert_notes_of_signatures(folder: RunFolder, copies: Path) -> None:
    """Hold that approvals in the system are told apart from the signatures of the document itself."""
    own = "<b>bukan tanda tangan elektronik tersertifikasi</b>. Dokumen ini sendiri ditandatangani secara"
    told = {path.name: path.read_text("utf-8") for path in folder.documents.glob("*.html")}
    assert {name: own in html for name, html in told.items()} == {
        f"{DRAFT}.html": False,
        f"{VERIFIED}.html": True,
        f"{RATIFIED}.html": True,
    }
    english = (copies / f"{RATIFIED}.en.html").read_text("utf-8")
    assert (
        "Approvals through the system are <b>no certified electronic signatures</b>. This document" in english
    )
