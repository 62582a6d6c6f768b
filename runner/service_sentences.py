"""The sentences for what is found on services around the computers, for ``runner.sentences``."""

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
    "no interface is expected": "belum ditentukan antarmuka yang seharusnya tersambung",
    "the router has not looked": "router belum memeriksa versi terbaru",
    "not trusted": "sertifikatnya tidak dipercaya",
    "no name is expected": "belum ditentukan nama yang diuji",
    "only the gateway was asked": "hanya gerbang (gateway) yang ditanya",
    "too few packets": "terlalu sedikit paket untuk dinilai",
    "the device does not say": "perangkat tidak memberitahukannya",
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

_DEVICE = {
    "device_reachable": Sentence(
        "Perangkat {subject}", "{measured}", _TALK | {"answered": "menjawab", "no answer": "tidak menjawab"}
    ),
    "snmp_login": Sentence("Perangkat {subject}", "menolak akun SNMP (pengguna atau sandi salah)"),
    "snmp_answer": Sentence(
        "SNMP pada perangkat {subject}",
        "{measured}",
        _TALK | {"no answer": "tidak menjawab (community salah, atau SNMP tidak aktif)"},
    ),
    "device_uptime": Sentence(
        "Perangkat {subject}", "menyala selama {measured}[; disebut baru dinyalakan di bawah {threshold}]"
    ),
    "interface_state": Sentence(
        "Antarmuka {subject}",
        "{measured}[; seharusnya {threshold}]",
        {"up": "tersambung", "down": "terputus", "missing": "tidak ada", "layer below down": "terputus"},
    ),
    "interface_errors": Sentence(
        "Antarmuka {subject}", "kesalahan {measured} dari paket sejak perangkat menyala[; batas {threshold}]"
    ),
    "ups_battery": Sentence(
        "Baterai UPS {subject}",
        "{measured}[; seharusnya {threshold}]",
        {"normal": "normal", "low": "lemah", "depleted": "habis"},
    ),
    "ups_charge": Sentence("Isi baterai UPS {subject}", "{measured}[; batas {threshold}]"),
    "ups_minutes": Sentence("Baterai UPS {subject}", "bertahan {measured}[; batas {threshold}]"),
    "ups_power": Sentence(
        "UPS {subject}",
        "bekerja dengan {measured}",
        {"mains": "listrik PLN", "battery": "baterai, listrik padam"},
    ),
    "ups_replace": Sentence(
        "Baterai UPS {subject}", "{measured}", {"replace": "perlu diganti", "keep": "belum perlu diganti"}
    ),
}

_ROUTERBOARD = {
    "routerboard_reachable": Sentence("Router {subject}", "{measured}", _TALK | {"answered": "menjawab"}),
    "routerboard_login": Sentence("Router {subject}", "menolak akun pemantau (pengguna atau sandi salah)"),
    "routerboard_certificate": Sentence(
        "Sertifikat router {subject}", "tidak dipercaya, sehingga sandi tidak dikirim: {measured}"
    ),
    "routeros_update": Sentence("Versi RouterOS {subject}", "{measured}[; yang terbaru {threshold}]"),
    "routerboard_firmware": Sentence("Firmware router {subject}", "{measured}[; tersedia {threshold}]"),
    "routerboard_uptime": Sentence(
        "Router {subject}", "menyala selama {measured}[; disebut baru dinyalakan di bawah {threshold}]"
    ),
    "routerboard_cpu": Sentence("Prosesor router {subject}", "terpakai {measured}[; batas {threshold}]"),
    "routerboard_memory": Sentence("Memori router {subject}", "terpakai {measured}[; batas {threshold}]"),
    "routerboard_disk": Sentence("Penyimpanan router {subject}", "terpakai {measured}[; batas {threshold}]"),
    "routerboard_temperature": Sentence("Suhu router ({subject})", "{measured}[; batas {threshold}]"),
}

_PRINTER = {
    "printer_reachable": Sentence(
        "Printer {subject}", "{measured}", _TALK | {"answered": "menjawab", "login": "menolak ditanya"}
    ),
    "printer_state": Sentence(
        "Printer {subject}",
        "{measured}",
        {"idle": "siap", "processing": "sedang mencetak", "stopped": "berhenti dan perlu ditangani"},
    ),
    "printer_accepting": Sentence("Printer {subject}", "tidak menerima dokumen baru"),
    "printer_reason": Sentence(
        "Printer {subject}",
        "melaporkan {measured}",
        {
            "media-empty": "kertas habis",
            "media-needed": "memerlukan kertas",
            "media-low": "kertas hampir habis",
            "media-jam": "kertas macet",
            "toner-empty": "toner habis",
            "toner-low": "toner hampir habis",
            "marker-supply-empty": "tinta atau toner habis",
            "marker-supply-low": "tinta atau toner hampir habis",
            "marker-waste-full": "wadah limbah toner penuh",
            "marker-waste-almost-full": "wadah limbah toner hampir penuh",
            "cover-open": "penutup terbuka",
            "door-open": "pintu terbuka",
            "paused": "dihentikan sementara",
            "spool-area-full": "tempat antrean penuh",
            "output-area-full": "baki keluaran penuh",
            "input-tray-missing": "baki kertas tidak terpasang",
        },
    ),
    "printer_supply": Sentence(
        "Persediaan {subject}",
        "tersisa {measured}[; batas {threshold}]",
        {"some": "sejumlah yang tidak disebutkan"},
    ),
    "printer_waste": Sentence("Wadah limbah {subject}", "terisi {measured}[; batas {threshold}]"),
    "printer_queue": Sentence("Antrean printer {subject}", "{measured} dokumen[; batas {threshold}]"),
}

_LINK = {
    "link_target": Sentence("Tujuan uji {subject}", "{measured}", _TALK),
    "link_gateway": Sentence("Gerbang (gateway) keluar", "tidak ada"),
    "link_outside": Sentence("Sambungan ke luar kantor", "tidak diuji"),
    "link_loss": Sentence("Paket ke {subject}", "hilang {measured}[; batas {threshold}]"),
    "link_latency": Sentence("Jawaban dari {subject}", "tiba dalam {measured}[; batas {threshold}]"),
    "link_names": Sentence("Nama {subject}", "{measured}", _TALK | {"refused": "ditolak oleh server nama"}),
    "link_names_time": Sentence("Nama {subject}", "ditemukan dalam {measured}[; batas {threshold}]"),
}

SERVICE_SENTENCES: Mapping[Kind, Mapping[str, Sentence]] = {
    "website": _WEBSITE,
    "database": _DATABASE,
    "printer": _PRINTER,
    "network_device": _DEVICE,
    "routerboard": _ROUTERBOARD,
    "internet_link": _LINK,
}
"""Kind of service -> code -> how it is worded."""
