"""The Indonesian sentences for what is found on services around the computers, for ``runner.sentences``."""

from __future__ import annotations

from collections.abc import Mapping

from runner.kinds import Kind
from runner.wording import Sentence

_TALK = {
    "answered": "dapat dihubungi",
    "timeout": "tidak menjawab sampai batas waktu",
    "refused": "menolak sambungan",
    "cut off": "memutus sambungan di tengah jalan",
    "no way there": "tidak dapat dicapai dari jaringan ini",
    "not understood": "menjawab dengan sesuatu yang tidak dapat dipahami",
    "no such name": "namanya tidak dikenal",
    "no such record": "catatannya tidak ada",
    "no answer": "tidak menjawab",
    "name server refused": "server nama menolak menjawab",
    "name server no answer": "server nama tidak menjawab",
}

REASONS: Mapping[str, str] = {
    **_TALK,
    "no text is expected": "belum ditentukan teks yang diharapkan",
    "no record is expected": "belum ditentukan catatan yang diharapkan",
    "no date is known": "tanggal berakhirnya belum dicatat",
    "redirect": "dialihkan ke tempat lain",
    "login": "server menolak akun pemantau",
    "replication stands still": "replikasi tidak berjalan",
    "the server does not say": "server tidak memberitahukannya",
    "no earlier measurement": "belum ada pengukuran sebelumnya",
    "no place of dumps is known": "tempat salinan belum ditentukan",
}
"""Why something could not be measured, in Indonesian; other reasons are shown as they are."""

_WEBSITE = {
    "website_reachable": Sentence("Situs {subject}", "{measured}", _TALK | {"answered": "dapat dibuka"}),
    "website_status": Sentence(
        "Halaman {subject}", "dijawab dengan kode {measured}[; diharapkan {threshold}]"
    ),
    "website_content": Sentence(
        "Isi halaman {subject}",
        "{measured}[: {threshold}]",
        {"there": "memuat teks yang diharapkan", "missing": "tidak memuat teks yang diharapkan"},
    ),
    "website_response_time": Sentence("Halaman {subject}", "terbuka dalam {measured}[; batas {threshold}]"),
    "website_redirect": Sentence(
        "Pengalihan ke {subject}",
        "tidak diikuti karena {measured}",
        {
            "too many": "terlalu banyak pengalihan",
            "elsewhere": "menuju situs lain yang tidak ada dalam daftar",
            "unencrypted": "menuju halaman tanpa enkripsi",
        },
    ),
    "tls_absent": Sentence("Situs {subject}", "tidak memakai sambungan terenkripsi (HTTPS)"),
    "tls_expiry": Sentence("Sertifikat {subject}", "berlaku {measured} lagi[; batas {threshold}]"),
    "tls_expired": Sentence("Sertifikat {subject}", "sudah kedaluwarsa sejak {measured} yang lalu"),
    "tls_not_yet_valid": Sentence("Sertifikat {subject}", "belum mulai berlaku"),
    "tls_name": Sentence(
        "Sertifikat {subject}", "diterbitkan untuk nama {measured}[; seharusnya {threshold}]"
    ),
    "tls_chain": Sentence(
        "Penerbit sertifikat {subject}",
        "{measured}",
        {
            "ok": "dipercaya",
            "self-signed certificate": "tidak dipercaya (sertifikat ditandatangani sendiri)",
            "unable to get local issuer certificate": "tidak dipercaya (penerbitnya tidak dikenal)",
            "unable to verify the first certificate": "tidak dipercaya (sertifikat perantara tidak dikirim)",
            "an authority's certificate has expired": "tidak dipercaya (sertifikat penerbitnya kedaluwarsa)",
        },
    ),
    "dns_record": Sentence("Catatan DNS {subject}", "{measured}[; seharusnya {threshold}]", _TALK),
    "dns_resolver": Sentence("Server nama untuk {subject}", "{measured}", _TALK),
    "domain_expiry": Sentence("Pendaftaran domain {subject}", "berlaku {measured} lagi[; batas {threshold}]"),
    "domain_expired": Sentence("Pendaftaran domain {subject}", "sudah berakhir sejak {measured} yang lalu"),
}

_DATABASE = {
    "database_up": Sentence(
        "Server basis data {subject}",
        "{measured}",
        _TALK | {"answered": "berjalan dan menjawab", "starting": "sedang dimulai atau dihentikan"},
    ),
    "database_login": Sentence(
        "Akun pemantau pada basis data {subject}",
        "ditolak oleh server (sandi atau hak akses salah): {measured}",
    ),
    "database_role": Sentence(
        "Peran server basis data {subject}",
        "{measured}[; seharusnya {threshold}]",
        {"primary": "server utama", "replica": "replika"},
    ),
    "database_replication": Sentence(
        "Replikasi basis data {subject}", "{measured}", {"running": "berjalan", "stopped": "terputus"}
    ),
    "database_lag": Sentence(
        "Replikasi basis data {subject}", "tertinggal {measured} dari server utama[; batas {threshold}]"
    ),
    "database_replicas": Sentence(
        "Replika yang tersambung ke basis data {subject}", "{measured}[; diharapkan {threshold}]"
    ),
    "database_replica_lag": Sentence("Replika {subject}", "tertinggal {measured}[; batas {threshold}]"),
    "database_connections": Sentence(
        "Sambungan ke basis data {subject}", "terpakai {measured}[; batas {threshold}]"
    ),
    "database_size": Sentence("Ukuran basis data {subject}", "{measured}[; batas {threshold}]"),
    "database_growth": Sentence(
        "Pertumbuhan basis data {subject}", "{measured} dalam 30 hari[; batas {threshold}]"
    ),
    "database_dump_age": Sentence(
        "Salinan basis data {subject}", "dibuat {measured} yang lalu[; batas {threshold}]"
    ),
    "database_dump_size": Sentence(
        "Salinan basis data {subject}", "berukuran {measured}[; batas terkecil {threshold}]"
    ),
    "database_dump_whole": Sentence(
        "Isi salinan basis data {subject}",
        "{measured}",
        {"whole": "lengkap sampai akhir", "cut off": "terpotong"},
    ),
    "database_dump_missing": Sentence("Salinan basis data", "tidak ditemukan di tempat yang ditentukan"),
}

SERVICE_SENTENCES: Mapping[Kind, Mapping[str, Sentence]] = {
    "website": _WEBSITE,
    "database": _DATABASE,
    "printer": {},
    "network_device": {},
    "routerboard": {},
    "internet_link": {},
}
"""Kind of service -> code -> how it is worded."""
