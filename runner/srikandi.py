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
from runner.export_items import Item

_STATES: Mapping[Fate | None, str] = {
    None: "Aktif",
    "inaktif": "Inaktif",
    "musnah": "Dimusnahkan",
    "serah": "Diserahkan",
    "simpan": "Disimpan",
}
_OUTCOMES = {"completed": "selesai", "ended": "dihentikan"}


def file_row(
    number: int, said: Mapping[str, Any], state: Fate | None, tagmanifest_sha256: str, items: int
) -> dict[str, str]:
    """Return the row of one archive of so many items in the Daftar Berkas."""
    archiving = said["archiving"]
    retention = archiving["retention"]
    years = {
        key: "" if retention[key] is None else f"{retention[key]} tahun"
        for key in ("active_years", "inactive_years")
    }
    subject = f"{said['sop']['name']}: {len(said['hosts'])} perangkat"
    return {
        "Nomor Berkas": str(number),
        "Kode Klasifikasi": archiving["classification"],
        "Judul Berkas": f"{said['sop']['name']} ({said['run']})",
        "Uraian Informasi": f"{subject}, {_OUTCOMES[said['outcome']]}",
        "Kurun Waktu": f"{said['period']['from']} s.d. {said['period']['to']}",
        "Tanggal Berkas": said["period"]["to"],
        "Jumlah": f"{items} naskah",
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


def item_rows(
    number: int, said: Mapping[str, Any], items: Sequence[Item], names: Sequence[str]
) -> list[dict[str, str]]:
    """Return the rows of an archive's records in the Daftar Isi Berkas; ``names`` are their files."""
    return [
        {
            "Nomor Berkas": str(number),
            "Nomor Item Arsip": f"{number}.{place}",
            "Kode Klasifikasi": said["archiving"]["classification"],
            "Jenis Naskah": item.kind,
            "Nomor Naskah": item.number,
            "Uraian Informasi": item.title,
            "Tanggal": item.date,
            "Penanda Tangan": item.signed_by,
            "Tingkat Perkembangan": item.development,
            "Jumlah": "1 berkas elektronik",
            "Klasifikasi Keamanan": said["archiving"]["security"],
            "Nama File": name,
            "SHA-256": item.sha256,
        }
        for place, (item, name) in enumerate(zip(items, names, strict=True), start=1)
    ]
