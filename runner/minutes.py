"""The Berita Acara of a decision about archives: from what was signed to JSON, HTML and PDF."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from runner import pdf, report
from runner.canonical import canonical_json, sha256_hex
from runner.clock import parse_utc

NAME = "berita-acara"
_TEMPLATE = "_berita-acara-penyusutan.html.j2"
TITLES = {
    "inaktif": "Berita Acara Pemindahan Arsip Inaktif",
    "musnah": "Berita Acara Pemusnahan Arsip",
    "serah": "Berita Acara Penyerahan Arsip Statis",
    "simpan": "Berita Acara Penilaian Kembali Arsip",
}
_ACTS = {
    "inaktif": "memindahkan arsip berikut dari arsip aktif menjadi arsip inaktif",
    "musnah": "memusnahkan isi arsip berikut; daftar sidik jari dan catatan registernya tetap disimpan",
    "serah": "menyerahkan arsip berikut sebagai arsip statis kepada lembaga kearsipan",
    "simpan": "menilai kembali arsip berikut dan menetapkannya tetap disimpan",
}


def minutes(
    said: Mapping[str, Any], archives: Sequence[Mapping[str, Any]], office: str, timezone: str
) -> dict[str, bytes]:
    """Return the files of the Berita Acara, by name.

    Args:
        said: the statement that was signed.
        archives: what each archive says of itself, in the statement's order.
        office: its name.
        timezone: in which its days are told.
    """
    view = {
        "title": TITLES[said["fate"]],
        "act": _ACTS[said["fate"]],
        "office": office,
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
    html = report.environment().get_template(_TEMPLATE).render(view=SimpleNamespace(**view))
    at = parse_utc(said["decided"])
    made = pdf.render_pdf(html, view["title"], at, (f"{NAME}.json", data))
    return {f"{NAME}.json": data, f"{NAME}.html": html.encode(), f"{NAME}.pdf": made}
