"""The Berita Acara of a decision about archives, from what was signed to JSON, HTML and PDF, and copies."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from runner import pdf, report
from runner.bag import Fate
from runner.canonical import canonical_json, sha256_hex
from runner.clock import parse_utc
from runner.language import Language, _, reading
from runner.office_settings import OfficeLook
from runner.report import Original

NAME = "berita-acara"
_TEMPLATE = "_berita-acara-penyusutan.html.j2"


def minutes(
    said: Mapping[str, Any],
    archives: Sequence[Mapping[str, Any]],
    office: str,
    timezone: str,
    look: OfficeLook | None = None,
) -> dict[str, bytes]:
    """Return the files of the Berita Acara, by name.

    Args:
        said: the statement that was signed.
        archives: what each archive says of itself, in the statement's order.
        office: its name.
        timezone: in which its days are told.
        look: its letterhead and place; empty where it has said nothing of them.
    """
    look = look or OfficeLook()
    head = look.settings.letterhead
    view = {
        "title": _title(said["fate"]),
        "act": _act(said["fate"]),
        "office": office,
        "lines": [*head.lines] or [office],
        "address": [*head.address],
        "logos": [{"name": picture.name, "address": picture.address} for picture in look.pictures],
        "place": look.settings.place,
        "timezone": timezone,
        "decided": said["decided"],
        "reason": said["reason"],
        "persons": [{key: person[key] for key in ("name", "nip", "position")} for person in said["persons"]],
        "bases": sorted({str(a["archiving"]["retention"]["basis"]) for a in archives} - {"None", ""}),
        "archives": [
            {
                "run": archive["run"],
                "classification": archive["archiving"]["classification"] or "-",
                "description": archive["sop"]["name"],
                "from": archive["period"]["from"],
                "to": archive["period"]["to"],
                "documents": len(archive["documents"]),
                "digest": kept["tagmanifest_sha256"],
            }
            for archive, kept in zip(archives, said["runs"], strict=True)
        ],
        "statement": sha256_hex(canonical_json(said)),
    }
    data = canonical_json(view)
    return {f"{NAME}.json": data, **_pages(view, data, None)}


def copy_of(papers: Mapping[str, bytes], language: Language) -> dict[str, bytes]:
    """Return the Berita Acara among the papers of a decision, worded in another language for readers.

    It says what the papers say, and is marked as a translation of the PDF among them; nobody signed it.

    Args:
        papers: file name -> content, as the register names them.
        language: in which the copy is worded.
    """
    data, fate = papers[f"{NAME}.json"], json.loads(papers["statement.json"])["fate"]
    original = Original(f"{NAME}.pdf", sha256_hex(papers[f"{NAME}.pdf"]), sha256_hex(data))
    with reading(language):
        said = json.loads(data)
        # Papers of before they were on the office's own paper have only its name.
        plain = {"lines": [said["office"]], "address": [], "logos": [], "place": ""}
        return _pages({**plain, **said, "title": _title(fate), "act": _act(fate)}, data, original)


def _pages(view: Mapping[str, Any], data: bytes, original: Original | None) -> dict[str, bytes]:
    html = report.fill(_TEMPLATE, view=SimpleNamespace(**view), original=original)
    made = pdf.render_pdf(html, view["title"], parse_utc(view["decided"]), (f"{NAME}.json", data))
    return {f"{NAME}.html": html.encode(), f"{NAME}.pdf": made}


def _title(fate: Fate) -> str:
    return {
        "inaktif": _("Berita Acara Pemindahan Arsip Inaktif"),
        "musnah": _("Berita Acara Pemusnahan Arsip"),
        "serah": _("Berita Acara Penyerahan Arsip Statis"),
        "simpan": _("Berita Acara Penilaian Kembali Arsip"),
    }[fate]


def _act(fate: Fate) -> str:
    return {
        "inaktif": _("memindahkan arsip berikut dari arsip aktif menjadi arsip inaktif"),
        "musnah": _(
            "memusnahkan isi arsip berikut, sedangkan daftar sidik jari dan catatan register tetap disimpan"
        ),
        "serah": _("menyerahkan arsip berikut sebagai arsip statis kepada lembaga kearsipan"),
        "simpan": _("menilai kembali arsip berikut dan menetapkannya tetap disimpan"),
    }[fate]
