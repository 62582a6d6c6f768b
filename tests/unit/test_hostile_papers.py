"""Hostile text in the papers that are no documents of rows: annexes, Berita Acara, the SOP itself.

It stands in every field of them, in each language they are made in, beside a harmless text of the same
length: nothing but words may differ, whatever the words are. What is drawn is measured before it is printed;
here every letter takes the same room, so that texts of one length are broken into the same lines.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hostile
import pikepdf
import pytest
from sample_run import whole_run
from test_hostile_text import ORIGINAL, filled, more_than_text, rendered, with_text

from runner import evidence, letters, minutes, pdf, report, sop_document
from runner.canonical import canonical_json
from runner.display import display
from runner.language import INDONESIAN, Language, is_original, language, reading
from runner.office_settings import OfficeLook, OfficeSettings
from runner.sop import Sop, parse_sop
from runner.translations import language_of
from runner.view import DocumentView

ALL = hostile.payloads()
LANGUAGES = (INDONESIAN, language_of("en"))
SOP = Path(__file__).parents[2] / "sops" / "surakarta-system-update.yml"
# Of an SOP: what is no text, but a name that code looks up or a span of time.
NAMES = frozenset(
    {"id", "field", "waktu", "document", "version", "pelaksana", "bersama", "action"}
    | {"when", "next", "recover", "by", "shows", "valid_for", "deadline", "at_deadline"}
)
FETCHING = ("canary", "file:")

Paper = Callable[[str], str]
"""Returns the HTML of a paper that says a text in every field, in the language of now."""


# The papers --------------------------------------------------------------------------------------------


@contextmanager
def papers_of(folder: Path) -> Iterator[dict[str, Paper]]:
    """Give the makers of the papers; six hosts are many meanwhile, so that there are annexes."""
    with pytest.MonkeyPatch.context() as patched:
        for module in ("view", "annex"):
            patched.setattr(f"runner.{module}.MOST_TOLD", 3)
        run = whole_run(folder)
        of = "laporan-hasil-update", "ratified"
        view = report.document_view(run.record(), *of, *run.marks[of])
        yield {
            "annex": lambda said: annex(view, said),
            "berita acara": berita_acara,
            "sop": lambda said: sop_document.render_sop(sop(said), "", office(said)),
        }


@pytest.fixture(scope="module", name="papers")
def _papers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Paper]]:
    with papers_of(tmp_path_factory.mktemp("runs")) as papers:
        yield papers


def of_file(said: str) -> str:
    """Return a text as a file may hold it: no half characters, all others as they are or escaped."""
    return said.encode(errors="replace").decode()


def office(said: str) -> OfficeLook:
    text = of_file(said)[:200]
    head = {"lines": [text] * 2, "address": [text]}
    return OfficeLook(settings=OfficeSettings.model_validate({"letterhead": head}))


def annex(view: DocumentView, said: str) -> str:
    """Return the first annex of a document: what hosts say, and what the office and its SOP say."""
    text = evidence.capped(said)
    data = with_text(view, said).model_dump(mode="json", by_alias=True)
    data |= {"number": text, "activity": text}
    data["sop"] |= dict.fromkeys(("name", "unit", "number"), text)
    data["look"] |= {"lines": [text] * 2, "address": [text]}
    said_in_full = DocumentView.model_validate(data)
    (_, first), *_ = report.annexes_of(said_in_full)
    return report.annex_html(said_in_full, first, None if is_original() else ORIGINAL)


def berita_acara(said: str) -> str:
    """Return the minutes of a decision about two archives; in another language the copy of them."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pdf, "render_pdf", lambda *_: b"")  # only its words are looked at here
        made = minutes_of([evidence.capped(said)] * 2)
        papers = made if is_original() else minutes.copy_of(made, language())
    return papers[f"{minutes.NAME}.html"].decode()


def minutes_of(texts: list[str]) -> dict[str, bytes]:
    """Return the papers of a decision about an archive for each text, which all its fields say."""
    first = texts[0]
    persons = [dict.fromkeys(("name", "nip", "position"), first)] * 2
    runs = [{"run": text, "tagmanifest_sha256": text} for text in texts]
    decided = "2026-11-21T03:00:00.000000Z"
    statement = {"fate": "musnah", "decided": decided, "reason": first, "persons": persons, "runs": runs}
    archives = [
        {
            "run": text,
            "archiving": {"classification": text, "retention": {"basis": text}},
            "sop": {"name": text},
            "period": {"from": "2020-11-21", "to": "2020-11-22"},
            "documents": [{}],
        }
        for text in texts
    ]
    with reading(INDONESIAN):
        made = minutes.minutes(statement, archives, first, "Asia/Jakarta")
    return {**made, "statement.json": canonical_json(statement)}


def sop(said: str, *, listed: tuple[str, ...] = ()) -> Sop:
    """Return an SOP whose every text says something; ``listed`` stand among its equipment."""
    text = of_file(said)
    read = parse_sop(SOP.read_text(encoding="utf-8"), SOP.name)
    data = {
        key: value if key in {"forms", "id"} else texts(value, text)
        for key, value in read.model_dump(exclude_none=True).items()
    }
    data["assumptions"] = [one | {"catatan": text} for one in data["assumptions"]]
    if listed:
        data["identity"]["peralatan"] = list(listed)
    return Sop.model_validate(data)


def texts(value: Any, text: str, field: str = "") -> Any:  # noqa: ANN401 - any JSON
    """Return a part of an SOP with the text in place of each of its own; outcomes of a row stay different."""
    if field == "outcomes":
        return [texts(one, text + "x" * at) for at, one in enumerate(value)]
    if isinstance(value, dict):
        return {key: one if key in NAMES else texts(one, text, key) for key, one in value.items()}
    return [texts(one, text) for one in value] if isinstance(value, list) else filled(value, text, field)


def twin(said: str) -> str:
    """Return a harmless text as long as another one is when printed, with its blanks."""
    return "".join(" " if character.isspace() else "x" for character in display(of_file(said)))


@pytest.fixture(name="_even", autouse=True)
def _letters_of_one_width(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(letters, "width", lambda text, size: len(text) * size * letters.POINT * 0.6)


# As text -----------------------------------------------------------------------------------------------


def differences(paper: Paper, payload: str) -> list[str]:
    return more_than_text(paper(payload), paper(twin(payload)))


PAPERS = ("annex", "berita acara", "sop")


@pytest.mark.parametrize("tongue", LANGUAGES, ids=lambda tongue: tongue.code)
@pytest.mark.parametrize("name", PAPERS)
def test_hostile_text_is_text_in_every_paper(
    papers: Mapping[str, Paper], name: str, tongue: Language
) -> None:
    with reading(tongue):
        html = papers[name]("harmless")
        assert f'<html lang="{tongue.code}">' in html
        assert html.count("harmless") >= 12
        assert {said: wrong for said in ALL[::180] if (wrong := differences(papers[name], said))} == {}


@pytest.mark.campaign
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("tongue", LANGUAGES, ids=lambda tongue: tongue.code)
@pytest.mark.parametrize("name", PAPERS)
def test_no_payload_of_the_whole_corpus_is_more_than_text_in_any_paper(
    papers: Mapping[str, Paper], name: str, tongue: Language
) -> None:
    with reading(tongue):
        assert {said: wrong for said in ALL if (wrong := differences(papers[name], said))} == {}


def test_what_is_more_than_text_is_found(papers: Mapping[str, Paper]) -> None:
    """The trial itself works: a paper in which a text is not escaped is told."""
    plain = papers["berita acara"]("<b>x</b>")

    for told, becomes in (("&lt;b&gt;", "<b>"), ("&lt;", "\x1b"), ("&lt;", "1236227")):
        assert told in plain
        assert more_than_text(plain.replace(told, becomes), papers["berita acara"](twin("<b>x</b>")))


# As PDF ------------------------------------------------------------------------------------------------


@pytest.fixture(name="canary")
def _canary() -> Iterator[tuple[int, list[str]]]:
    with hostile.canary() as told:
        yield told


def words_outside(made: bytes) -> list[str]:
    """Return the words of a PDF that stand beside the paper, or run over its edge."""
    assert shutil.which("pdftotext"), "apt-get install poppler-utils (make campaign-untrusted does)"
    told = subprocess.run(
        ["pdftotext", "-bbox", "-", "-"], check=True, capture_output=True, input=made
    ).stdout
    wrong, width, height = [], 0.0, 0.0
    for line in told.decode(errors="replace").splitlines():
        if page := re.search(r'<page width="([\d.]+)" height="([\d.]+)"', line):
            width, height = float(page[1]), float(page[2])
        elif word := re.search(r'xMin="(\S+)" yMin="(\S+)" xMax="(\S+)" yMax="(\S+)">(.*)</word>', line):
            left, top, right, bottom = (float(word[n]) for n in range(1, 5))
            if left < 0 or top < 0 or right > width or bottom > height:
                wrong.append(word[5])
    assert width, "no page was found"
    return wrong


def held(made: bytes, asked: list[str]) -> None:
    """Hold that a PDF neither fetched nor holds what it was told to."""
    with pikepdf.open(io.BytesIO(made)) as document:
        # No file but ours is attached, nothing is done when it is opened, and no link leads anywhere.
        assert not {"/OpenAction", "/AA", "/AcroForm"} & set(document.Root.keys())
        links = [a for page in document.pages for a in page.get("/Annots", []) if "/URI" in a.get("/A", {})]
        assert links == []
        assert list(document.attachments) in (["x.json"], ["berita-acara.json"])
    assert b"root:x:" not in made
    assert asked == []


def test_the_pdf_of_minutes_fetches_nothing(canary: tuple[int, list[str]]) -> None:
    port, asked = canary
    said = [text for text in hostile.payloads(port) if any(sign in text for sign in FETCHING)]

    held(minutes_of([evidence.capped(text) for text in said[:9]])[f"{minutes.NAME}.pdf"], asked)


@pytest.mark.campaign
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("tongue", LANGUAGES, ids=lambda tongue: tongue.code)
def test_pdfs_with_the_whole_corpus_fetch_nothing_and_keep_to_their_paper(
    canary: tuple[int, list[str]],
    papers: Mapping[str, Paper],
    tongue: Language,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.undo()  # letters are as wide as they are
    port, asked = canary
    every = tuple(dict.fromkeys(evidence.capped(text) or "-" for text in hostile.payloads(port)))
    assert len(every) >= 500
    with reading(tongue):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(pdf, "render_pdf", lambda *_: b"")
            made = minutes_of(list(every))
            pages = made if tongue is INDONESIAN else minutes.copy_of(made, tongue)
        fetching = [text for text in every if any(sign in text for sign in FETCHING)][::8]
        htmls = [
            pages[f"{minutes.NAME}.html"].decode(),
            sop_document.render_sop(sop("Contoh", listed=every), ""),
            *(papers["annex"](text) for text in fetching),
            *(sop_document.render_sop(sop(text), "") for text in fetching),
        ]
        assert len(htmls) > 10
        for html in htmls:
            made_pdf = rendered(html)
            held(made_pdf, asked)
            assert words_outside(made_pdf) == []
