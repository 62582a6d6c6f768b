"""The sentences for disturbances, their cures and what came of them, made from codes and values.

These tables are the only place that words them, in Indonesian; evidence holds codes and values. What they
hold are messages (``runner.language``). A test holds that every code
and reason that the role can give has its words here, and no other has.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from runner import wording
from runner.language import _, counted, in_sense
from runner.repairs import Cure, CureCode, Disturbance, Measured, Outcome, Repair, Unseen
from runner.wording import Sentence

_STATES = {
    "failed": "gagal berjalan",
    "inactive": "tidak berjalan",
    "active": "berjalan",
    "activating": "sedang dimulai",
    "deactivating": "sedang berhenti",
}

DISTURBANCES: Mapping[Disturbance, Sentence] = {
    "disk_full": Sentence(
        "Disk {subject}", "penuh: ruang terpakai {percent}, jumlah berkas {inodes_percent}"
    ),
    "lock_stale": Sentence(
        "Kunci {subject}", "masih ada, padahal proses yang memasangnya sudah tidak ada (proses: {holder})"
    ),
    "packages_unfinished": Sentence(
        "Pemasangan paket ({subject})", "pernah terputus; {count} paket belum selesai dipasang"
    ),
    "time_sync_off": Sentence(
        "Penyelarasan jam {subject}", "layanan {state}; ikut menyala bersama komputer: {enabled}"
    ),
    "certificate_expired": Sentence("Sertifikat {subject}", "sisa masa berlaku {days_left}"),
    "unit_dead": Sentence("Layanan {subject}", "{state}, padahal seharusnya berjalan"),
}
"""Disturbance -> how it is worded where a cure is known."""

NAMES: Mapping[CureCode, str] = {
    "clean_package_cache": "Menghapus berkas paket yang dapat diunduh kembali",
    "vacuum_journal": "Memperkecil jurnal sistem",
    "remove_rotated_logs": "Menghapus catatan (log) lama yang sudah diputar",
    "remove_lock": "Menghapus kunci yang tertinggal",
    "configure_packages": "Menyelesaikan pemasangan paket yang terputus",
    "start_time_sync": "Menyalakan penyelarasan jam",
    "renew_certificate": "Memperbarui sertifikat dengan program yang ditentukan kantor",
    "start_unit": "Menyalakan layanan",
}
"""Cure -> its name, for a letter of assignment and for lists."""

CURES: Mapping[CureCode, str] = {
    "clean_package_cache": "menghapus {files} berkas paket, {bytes}",
    "vacuum_journal": "memperkecil jurnal sistem menjadi paling besar {keep_bytes}; bebas kira-kira {bytes}",
    "remove_rotated_logs": "menghapus {files} berkas log lama, {bytes}",
    "remove_lock": "menghapus kunci {path}",
    "configure_packages": "menyelesaikan pemasangan {packages}",
    "start_time_sync": "menyalakan {unit}, juga setiap kali komputer dinyalakan; jam dapat berubah seketika",
    "renew_certificate": "menjalankan {hook}",
    "start_unit": "menyalakan {unit}",
}
"""Cure -> exactly what it would do."""

RISKS: Mapping[str, str] = {"low": "rendah", "medium": "sedang"}

NEEDS: Mapping[str, str] = {
    "idle_package_manager": "tidak ada pemasangan paket lain yang sedang berjalan",
    "idle_accounts": "tidak ada perubahan akun yang sedang berjalan",
    "time_server": "server waktu yang dapat dihubungi",
    "issuer": "penerbit sertifikat yang dapat dihubungi",
}
"""What a cure needs to come to its end."""

OUTCOMES: Mapping[Outcome, str] = {
    "done": "sudah diperbaiki dan terbukti",
    "not needed": "tidak diperlukan lagi; gangguannya sudah tidak ada",
    "failed": "gagal",
    "not allowed": "tidak dilakukan karena tidak termasuk tindakan yang diizinkan",
    "not done (check mode)": "belum dilakukan (hanya uji coba)",
}

REASONS: Mapping[str, str] = {
    # why nothing can be done about a disturbance
    "nothing_to_free": "tidak ada cache atau log lama yang boleh dihapus di sana",
    "holder_alive": "kunci dipegang proses yang masih hidup; tidak disentuh",
    "package_damaged": "paket rusak dan harus dipasang ulang",
    "unit_masked": "layanan sengaja dimatikan (masked) oleh pengelola",
    "unit_not_there": "layanan tidak terpasang",
    "unit_restarting": "layanan terus-menerus gagal walaupun sudah dimulai ulang",
    "no_time_service": "kantor belum menentukan layanan penyelaras jam",
    "no_time_server": "layanan berjalan, tetapi jam belum selaras dengan server waktu",
    "no_hook": "kantor belum menentukan program pembaruannya",
    "hook_unsafe": "program pembaruannya tidak aman dijalankan",
    # why it is not known whether a disturbance is there
    "not_on_this_family": "tidak berlaku pada keluarga sistem operasi ini",
    "no_answer": "tidak menjawab dalam batas waktu",
    "not_told": "tidak diberitahukan oleh sistem",
    "unreadable": "tidak dapat dibaca",
    "error": "tidak dapat diperiksa",
    # why an approved cure did not come to its end
    "not_expected": "tidak lagi termasuk yang diharapkan kantor",
    "not_allowed": "tidak termasuk tindakan yang diizinkan",
    "not_as_approved": "keadaannya tidak lagi sama dengan yang disetujui",
    "tried_already": "sudah dicoba dan gangguannya tetap ada",
    "broke_off": "pengerjaannya terputus",
    "not_begun": "belum dimulai ketika hubungan dengan komputer terputus",
    "package_manager_busy": "pengelola paket sedang dipakai proses lain",
    "not_noted": "tidak dapat dicatat pada komputer, sehingga tidak dimulai",
    "still_at_work": "pengerjaannya belum selesai",
    "not_enough": "ruang yang dibebaskan belum cukup",
    "did_not_stay_up": "layanan tidak bertahan berjalan",
    "still_there": "gangguannya masih ada",
}
"""Why there is no cure, why something was not measured, and why a cure failed."""

PROOFS: Mapping[str, str] = {
    "state": "keadaan",
    "enabled": "ikut menyala bersama komputer",
    "percent": "ruang terpakai",
    "inodes_percent": "jumlah berkas terpakai",
    "days_left": "sisa masa berlaku",
    "count": "paket yang belum selesai",
    "holder": "pemegang kunci",
}
"""What a look after a cure measures -> how that is named."""

_PLACE = re.compile(r"\{(\w+)\}")


def disturbance(found: Repair) -> str:
    """Return what is wrong as one sentence."""
    worded = DISTURBANCES[found.code].read()
    what = _filled(worded.what, {"subject": found.subject}).strip().replace(" ()", "")
    told = _filled(worded.told, _measured(found.found))
    if not found.cure:
        told = reason(found.reason, found.detail)
    return f"{what}: {told}."


def proposal(found: Repair) -> str:
    """Return what would be done about a disturbance as one sentence."""
    if not found.cure:
        return _("Tidak ada tindakan yang dikenal.")
    does = found.does
    more = wording.number(does.more)
    rest = f" {_('(dan {count} lainnya dibiarkan)').format(count=more)}" if does.more else ""
    packages = wording.some([f"{each.package} {each.version}" for each in does.packages])
    values = {
        "unit": does.unit,
        "path": does.path,
        "hook": " ".join(does.hook),
        "files": wording.number(len(does.files)),
        "bytes": wording.size(does.bytes) + rest,
        "keep_bytes": wording.size(does.keep_bytes),
        "packages": _("paket {packages}").format(packages=packages)
        if packages
        else in_sense("several", "paket"),
    }
    told = _filled(_(CURES[found.cure]), values)
    needs = wording.listing([_(NEEDS[each]) if each in NEEDS else each for each in found.needs])
    risk = _("risiko {risk}; perlu {needs}") if needs else _("risiko {risk}")
    risk = risk.format(risk=_(RISKS[found.risk]), needs=needs)
    return f"{told[0].upper()}{told[1:]} ({risk})."


def cured(done: Cure) -> str:
    """Return what came of an approved cure as one sentence."""
    name = _(NAMES[done.cure]) if done.cure else _("Tanpa tindakan")
    why = f": {reason(done.reason, done.detail)}" if done.outcome == "failed" else ""
    bytes_freed = _("{bytes} dibebaskan").format(bytes=wording.size(done.freed_bytes))
    freed = f"; {bytes_freed}" if done.freed_bytes else ""
    return f"{name}, {done.subject}: {_(OUTCOMES[done.outcome])}{why}{freed}."


def proof(done: Cure) -> str:
    """Return what was seen when it was looked at after a cure; nothing where there is nothing to measure."""
    values = _measured(done.proof)
    return ", ".join(f"{_(name)}: {values[code]}" for code, name in PROOFS.items() if code in values)


def unseen(told: Unseen) -> str:
    """Return why it is not known whether a disturbance is there."""
    worded = DISTURBANCES[told.code].read()
    what = _filled(worded.what, {"subject": told.subject}).strip().replace(" ()", "")
    return f"{what}: {_('tidak dapat diperiksa')} ({reason(told.reason, told.detail)})."


def reason(code: str, detail: str) -> str:
    """Return a reason, and the host's own words behind it."""
    told = _(REASONS[code]) if code in REASONS else code
    return f"{told} ({detail})" if detail else told


def _measured(found: Measured) -> dict[str, str]:
    values = {name: str(value) for name, value in found.items()}
    for name in ("percent", "inodes_percent"):
        if name in values:
            values[name] = f"{_number(found[name])}%"
    if "days_left" in found:
        days = found["days_left"]
        told = counted("{count} hari", 0 if isinstance(days, str) else days)
        values["days_left"] = told.format(count=_number(days))
    if values.get("state") in _STATES:
        values["state"] = _(_STATES[values["state"]])
    if "enabled" in found:
        values["enabled"] = _("tidak") if found["enabled"] in {"no", "disabled"} else _("ya")
    if found.get("holder") == "none":
        values["holder"] = _("tidak tercatat")
    if "count" in found:
        values["count"] = _number(found["count"])
    return values


def _number(value: str | float) -> str:
    if isinstance(value, str):
        return value
    return wording.number(round(value, 1) if value != int(value) else int(value))


def _filled(text: str, values: Mapping[str, str]) -> str:
    # One pass: what a host calls itself is never taken for a place to fill in.
    return _PLACE.sub(lambda found: values.get(found[1], "?"), text)
