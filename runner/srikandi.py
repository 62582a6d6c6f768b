"""The lists that go with archives into SRIKANDI, the national records system. Pure rules.

SRIKANDI takes records in at its own screens; no public description of an import format was found. So this is
what those screens ask for, as far as public sources say: the data elements of Peraturan Kepala ANRI 21/2011,
and the columns of a Daftar Berkas and a Daftar Isi Berkas. An archivist enters or maps them. What the office
had not said is empty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runner.bag import Fate

_STATES: Mapping[Fate | None, str] = {
    None: "Aktif",
    "inaktif": "Inaktif",
    "musnah": "Dimusnahkan",
    "serah": "Diserahkan",
    "simpan": "Disimpan",
}
_KINDS = (
    "laporan",
    "disposisi",
    "notulensi",
    "catatan",
    "daftar",
    "usulan",
    "keputusan",
    "jadwal",
    "berita-acara",
)


def file_row(
    number: int, said: Mapping[str, Any], state: Fate | None, tagmanifest_sha256: str
) -> dict[str, str]:
    """Return the row of one archive in the Daftar Berkas."""
    archiving = said["archiving"]
    retention = archiving["retention"]
    years = {
        key: "" if retention[key] is None else f"{retention[key]} tahun"
        for key in ("active_years", "inactive_years")
    }
    return {
        "Nomor Berkas": str(number),
        "Kode Klasifikasi": archiving["classification"],
        "Judul Berkas": f"{said['sop']['name']} ({said['run']})",
        "Uraian Informasi": f"{said['sop']['name']}: {len(said['hosts'])} perangkat, {said['outcome']}",
        "Kurun Waktu": f"{said['period']['from']} s.d. {said['period']['to']}",
        "Tanggal Berkas": said["period"]["to"],
        "Jumlah": f"{len(said['documents'])} naskah",
        "Tingkat Perkembangan": "Asli elektronik",
        "Klasifikasi Keamanan": archiving["security"],
        "Pencipta Arsip": said["office"],
        "Unit Pengolah": said["sop"]["unit"],
        "Media Arsip": "Elektronik",
        "Bahasa": "Indonesia",
        "Lokasi Simpan Fisik": archiving["location"],
        "Retensi Aktif": years["active_years"],
        "Retensi Inaktif": years["inactive_years"],
        "Nasib Akhir": str(retention["final"] or ""),
        "Dasar JRA": str(retention["basis"] or ""),
        "Status Berkas": _STATES[state],
        "Nama Aplikasi": "Rawat",
        "Keterangan": f"BagIt, SHA-256 tagmanifest {tagmanifest_sha256}",
    }


def item_rows(number: int, said: Mapping[str, Any], names: Sequence[str]) -> list[dict[str, str]]:
    """Return the rows of an archive's documents in the Daftar Isi Berkas; ``names`` are their files."""
    return [
        {
            "Nomor Berkas": str(number),
            "Nomor Item Arsip": f"{number}.{item}",
            "Kode Klasifikasi": said["archiving"]["classification"],
            "Jenis Naskah": next(
                (kind for kind in _KINDS if document["document"].startswith(kind)), "naskah"
            ),
            "Uraian Informasi": f"{document['name']} ({document['version']})",
            "Tanggal": document["date"],
            "Tingkat Perkembangan": "Asli elektronik",
            "Jumlah": "1 berkas elektronik",
            "Klasifikasi Keamanan": said["archiving"]["security"],
            "Nama File": name,
            "SHA-256": document["sha256"],
        }
        for item, (document, name) in enumerate(zip(said["documents"], names, strict=True), start=1)
    ]
