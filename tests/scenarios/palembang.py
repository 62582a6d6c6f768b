"""What the tests of the Palembang SOP fill in, and how a disturbed host looks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runner.executors.base import HostResult
from runner.filling import Filled
from runner.judges.base import finding

ANSWERS: dict[str, dict[str, Any]] = {
    "penugasan": {"aplikasi": ["Situs web kantor", "Basis data kepegawaian"]},
    "perbaikan": {
        "gangguan": "Situs web tidak menjawab.",
        "upaya": "Layanan web dijalankan ulang.",
        "hasil": "Tidak dapat diperbaiki oleh internal",
        "kebutuhan": ["Disk pengganti"],
    },
    "usulan": {
        "dasar": "Disk server rusak.",
        "rincian": [
            {"uraian": "Disk 1 TB", "jumlah": 2, "satuan": "buah", "harga": 1_250_000},
            {"uraian": "Jasa pemasangan", "jumlah": 1, "harga": 350_000},
        ],
    },
    "tindak-lanjut": {"tugas": ["Memasang disk pengganti"], "selesai": "2026-11-30"},
    "pelaksanaan": {
        "perangkat": ["Server web1"],
        "tanggal": "2026-11-25",
        "pekerjaan": "Disk diganti dan data dipulihkan.",
        "biaya": 2_850_000,
    },
}
FORMS = {1: "penugasan", 4: "perbaikan", 5: "usulan", 7: "tindak-lanjut", 8: "pelaksanaan"}

SICK = HostResult(
    "web1",
    "ok",
    {
        "check_host": {
            "kind": "computer",
            "facts": {},
            "findings": [finding("port_missing", "tcp 80", "critical")],
        }
    },
)


def checked(host: str, severity: str) -> HostResult:
    """Return what a check of a host comes to that found one thing of this severity."""
    found = {"kind": "computer", "facts": {}, "findings": [finding("unit_failed", "cron.service", severity)]}
    return HostResult(host, "ok", {"check_host": found})


def filled_in(*rows: int, paper: Path | None = None) -> Mapping[int, Filled]:
    """Return what the operator fills in at these rows."""
    papers = {8: (paper,)} if paper else {}
    return {no: Filled("pengelola", ANSWERS[FORMS[no]], papers.get(no, ())) for no in rows}
