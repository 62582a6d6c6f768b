"""The sentence for every finding of a check, made from its code, subject, value and threshold.

These tables are the only place that words a finding, in Indonesian; evidence holds codes and values. What
they hold are messages (``runner.language``). A test holds that every code a judge gives has a sentence here,
and every sentence a judge that gives it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from runner import wording
from runner.checks import CheckFinding, Severity, Value
from runner.kinds import Kind
from runner.language import _, counted
from runner.service_sentences import REASONS, SERVICE_SENTENCES
from runner.wording import Sentence

SEVERITIES: Mapping[Severity, str] = {
    "good": "baik",
    "notice": "catatan",
    "warning": "peringatan",
    "critical": "kritis",
    "unmeasured": "tidak terukur",
}

KINDS: Mapping[Kind, str] = {
    "computer": "komputer",
    "website": "situs web",
    "database": "basis data",
    "printer": "printer",
    "network_device": "perangkat jaringan",
    "routerboard": "RouterBOARD",
    "internet_link": "sambungan internet",
}


def _number(value: float) -> str:
    return wording.number(round(value, 1) if value != int(value) else int(value))


UNITS: Mapping[str, Callable[[float], str]] = {
    "": _number,
    "%": lambda value: f"{_number(value)}%",
    "days": lambda value: counted("{count} hari", value).format(count=_number(value)),
    "seconds": lambda value: counted("{count} detik", value).format(count=_number(value)),
    "minutes": lambda value: counted("{count} menit", value).format(count=_number(value)),
    "celsius": lambda value: f"{_number(value)} °C",
    "milliseconds": lambda value: counted("{count} milidetik", value).format(count=_number(value)),
    "bytes": wording.size,
    "per_core": lambda value: _("{count} per inti").format(count=_number(value)),
}
"""Unit of a finding -> how a number of it is written."""

_COMPUTER = {
    "load": Sentence("Beban prosesor", "rata-rata 15 menit {measured}[; batas {threshold}]"),
    "memory": Sentence("Memori", "terpakai {measured}[; batas {threshold}]"),
    "swap": Sentence("Memori cadangan (swap)", "terpakai {measured}[; batas {threshold}]"),
    "disk_space": Sentence("Ruang disk {subject}", "terpakai {measured}[; batas {threshold}]"),
    "disk_inodes": Sentence("Jumlah berkas pada disk {subject}", "terpakai {measured}[; batas {threshold}]"),
    "disk_forecast": Sentence("Disk {subject}", "diperkirakan penuh dalam {measured}[; batas {threshold}]"),
    "disk_read_only": Sentence("Disk {subject}", "hanya dapat dibaca, tidak dapat ditulisi"),
    "unit_failed": Sentence("Layanan {subject}", "gagal berjalan", good="tidak ada yang gagal"),
    "unit_dead": Sentence(
        "Layanan {subject}",
        "{measured}, padahal seharusnya berjalan",
        {
            "failed": "gagal berjalan",
            "inactive": "tidak berjalan",
            "deactivating": "sedang berhenti",
            "maintenance": "berhenti dan menunggu penanganan",
            "masked": "sengaja dimatikan (masked)",
            "not_there": "tidak terpasang",
            "restarting": "terus-menerus gagal walaupun sudah dimulai ulang",
        },
        good="semua yang diharapkan berjalan",
    ),
    "port_missing": Sentence(
        "Port {subject}", "seharusnya melayani, tetapi tidak", good="semua yang diharapkan melayani"
    ),
    "port_unexpected": Sentence(
        "Port {subject}", "terbuka, padahal tidak diharapkan", good="tidak ada yang terbuka di luar harapan"
    ),
    "port_local": Sentence("Port {subject}", "hanya melayani komputer itu sendiri, bukan komputer lain"),
    "time_sync": Sentence(
        "Penyelarasan jam",
        "{measured}",
        {"synchronized": "selaras", "unsynchronized": "tidak selaras dengan server waktu"},
    ),
    "clock_offset": Sentence("Jam", "berselisih {measured} dari jam komputer pengelola[; batas {threshold}]"),
    "certificate": Sentence("Sertifikat {subject}", "berlaku {measured} lagi[; batas {threshold}]"),
    "certificate_expired": Sentence("Sertifikat {subject}", "kedaluwarsa sejak {measured} yang lalu"),
    "last_boot": Sentence("Komputer", "terakhir dinyalakan {measured} yang lalu[; batas {threshold}]"),
    "kernel": Sentence(
        "Kernel yang berjalan", "{measured}[; yang terbaru terpasang {threshold}, berlaku setelah reboot]"
    ),
    "reboot_required": Sentence(
        "Reboot", "diperlukan agar pemutakhiran yang sudah terpasang berlaku", good="tidak diperlukan"
    ),
    "old_code": Sentence(
        "Program {subject}",
        "masih menjalankan versi lama dari berkas yang sudah diganti; perlu dimulai ulang",
        good="semua menjalankan versi yang terpasang",
    ),
    "journal_errors": Sentence(
        "Catatan kesalahan sistem", "{measured} dalam 24 jam terakhir[; batas {threshold}]"
    ),
    "backup_age": Sentence("Backup terakhir", "dibuat {measured} yang lalu[; batas {threshold}]"),
    "backup_missing": Sentence("Backup", "belum ada yang tercatat pada komputer ini"),
    "antivirus_missing": Sentence("Antivirus", "tidak terpasang"),
    "antivirus_age": Sentence("Basis data antivirus", "berumur {measured}[; batas {threshold}]"),
    "antivirus_loaded": Sentence(
        "Antivirus", "memakai basis data versi {measured}[, padahal versi {threshold} ada pada disk]"
    ),
    "antivirus_stopped": Sentence("Antivirus", "terpasang, tetapi tidak berjalan"),
    "zombies": Sentence("Proses yang tidak terselesaikan (zombie)", "{measured}[; batas {threshold}]"),
    "blocked": Sentence("Proses yang tertahan menunggu perangkat", "{measured}[; batas {threshold}]"),
    "packages_broken": Sentence(
        "Paket {subject}", "tidak terpasang dengan utuh", good="semua terpasang dengan utuh"
    ),
    "packages_interrupted": Sentence("Pemasangan paket", "pernah terputus dan belum diselesaikan"),
}

SENTENCES: Mapping[Kind, Mapping[str, Sentence]] = {
    "computer": _COMPUTER,
    **SERVICE_SENTENCES,
}
"""Kind of host -> code -> how it is worded."""

WHYS: Sequence[tuple[str, str]] = (
    ("needs_root", "memerlukan hak root"),
    ("no_answer", "tidak menjawab dalam batas waktu"),
    ("not_there", "tidak ada, atau tidak boleh dibaca"),
    ("not_told", "tidak diberitahukan"),
    ("listens_elsewhere", "hanya menerima sambungan pada alamat lain"),
    ("unreadable", "jawabannya tidak dapat dibaca"),
    (r"(\d+) more were not looked at", r"\1 lainnya tidak diperiksa"),
    (r"(\S+) is not there", r"\1 tidak ada"),
    (r"(\S+) ended with (-?\d+)", r"\1 berakhir dengan galat \2"),
    (r"(\S+) did not end within (\d+) seconds", r"\1 tidak selesai dalam \2 detik"),
    (r"it is no certificate", "bukan sertifikat"),
    (r"it is no file", "bukan berkas"),
)
"""Why something was not measured, as patterns; other reasons are shown as they were given."""

_MAY_GO = re.compile(r"\[([^\]]*)\]")


def sentence(kind: Kind, finding: CheckFinding) -> str:
    """Return a finding as one sentence for an official."""
    worded = _worded(kind, finding.code)
    what = worded.what.replace("{subject}", finding.subject).strip()
    if finding.severity == "unmeasured":
        why = f" ({_why(finding.why)})" if finding.why else ""
        return f"{what}: {_('tidak dapat diukur')}{why}."
    told = worded.good if finding.severity == "good" and worded.good else worded.told
    told = _MAY_GO.sub("" if finding.threshold is None else r"\1", told)
    # One pass: what a host calls itself is never taken for a place to fill in.
    values = {
        "{subject}": finding.subject,
        "{measured}": _value(finding.measured, finding.unit, worded.words),
        "{threshold}": _value(finding.threshold, finding.unit, worded.words),
    }
    return f"{what}: {re.sub('|'.join(map(re.escape, values)), lambda found: values[found[0]], told)}."


def _worded(kind: Kind, code: str) -> Sentence:
    found = SENTENCES[kind].get(code)
    if found is None:
        # Evidence of a newer version: its code says more than nothing.
        return Sentence(f"{code} {{subject}}", "{measured}[; {threshold}]")
    return found.read()


def _why(given: str) -> str:
    for pattern, words in WHYS:
        if match := re.fullmatch(pattern, given):
            return match.expand(_(words))
    return _(REASONS[given]) if given in REASONS else given


def _value(value: Value, unit: str, words: Mapping[str, str]) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return words.get(value, value)
    written = UNITS.get(unit)
    return written(value) if written else f"{_number(value)} {unit}"
