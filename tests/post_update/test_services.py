"""What worked before the change works after it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import kernels
import pytest
import redhat_host
from conftest import Ask, Expectation
from testinfra.host import Host

MOUNTED = {
    "gone": "tidak terpasang",
    "other kind": "kini sistem berkas jenis lain",
    "read-only": "kini hanya dapat dibaca",
}
PATIENCE_SECONDS = 20
"""A service that has just been started opens its port a little later than its unit is active."""


PATIENCE_ENDS: dict[str, float] = {}
"""Per host, counted from the first thing found wrong: the tests of a broken host wait once, not each."""


def after_patience(host: Host, found: Callable[[], list[str]]) -> list[str]:
    """Look again until nothing is wrong any more, and return what is still wrong at the end."""
    if not (wrong := found()):
        return wrong
    name = host.backend.get_hostname()
    deadline = PATIENCE_ENDS.setdefault(name, time.monotonic() + PATIENCE_SECONDS)
    while (wrong := found()) and time.monotonic() < deadline:
        time.sleep(1)
    return wrong


def failed_units(host: Host) -> set[str]:
    """Return the services that have failed."""
    done = host.run(
        "timeout 60 systemctl list-units --type=service --state=failed --plain --no-legend --full"
    )
    assert done.rc == 0, f"systemctl gagal: {done.stderr.strip()[-300:]}"
    return {line.split()[0] for line in done.stdout.splitlines() if line.strip()}


def test_services_active_before_are_active_now(host: Host, expect: Expectation) -> None:
    """Semua layanan yang aktif sebelum pemutakhiran tetap aktif."""
    units = sorted({*expect.baseline["units_active"], *expect.baseline.get("units_required", [])})
    if not units:
        pytest.fail("tidak ada layanan yang tercatat aktif sebelum pemutakhiran", pytrace=False)
    question = "timeout 60 systemctl is-active -- " + " ".join(["%s"] * len(units))

    def inactive() -> list[str]:
        states = host.run(question, *units).stdout.split()
        assert len(states) == len(units), "systemctl tidak menjawab untuk setiap layanan"
        wrong = zip(units, states, strict=True)
        return [f"{unit} ({state})" for unit, state in wrong if state not in {"active", "reloading"}]

    wrong = after_patience(host, inactive)

    assert not wrong, f"layanan tidak aktif: {', '.join(wrong)}"


def test_no_service_has_newly_failed(host: Host, expect: Expectation) -> None:
    """Tidak ada layanan yang baru gagal."""
    new = sorted(failed_units(host) - set(expect.baseline["units_failed"]))

    assert not new, f"layanan gagal: {', '.join(new)}"


def test_ports_listening_before_listen_now(host: Host, expect: Expectation) -> None:
    """Semua port yang terbuka sebelum pemutakhiran tetap terbuka."""

    def closed() -> list[str]:
        done = host.run("timeout 60 ss --no-header --listening --numeric --tcp --udp")
        assert done.rc == 0, f"ss gagal: {done.stderr.strip()[-300:]}"
        rows = [line.split() for line in done.stdout.splitlines()]
        open_now = {f"{row[0]}/{row[4].rpartition(':')[2]}" for row in rows}
        return [port for port in expect.baseline["ports"] if port not in open_now]

    wrong = after_patience(host, closed)

    assert not wrong, f"port tertutup: {', '.join(wrong)}"


def test_addresses_answer_as_before(host: Host, expect: Expectation, ask: Ask) -> None:
    """Semua alamat aplikasi menjawab seperti sebelum pemutakhiran."""
    before = {item["url"]: item["status"] for item in expect.baseline["urls"]}
    if not before:
        pytest.skip("tidak ada alamat aplikasi yang tercatat untuk host ini")

    def wrong_answers() -> list[str]:
        now = ask("asked_addresses", sorted(before))
        return [
            f"{url} menjawab {now[url] or 'tidak sama sekali'} (sebelumnya {status or 'tidak sama sekali'})"
            for url, status in before.items()
            if now[url] != status or not 0 < now[url] < 500
        ]

    wrong = after_patience(host, wrong_answers)

    assert not wrong, f"alamat tidak menjawab semestinya: {', '.join(wrong)}"


def test_file_systems_mounted_before_are_mounted_now(host: Host, expect: Expectation, ask: Ask) -> None:
    """Semua sistem berkas yang terpasang sebelum pemutakhiran tetap terpasang dan dapat ditulis."""
    before = [json.dumps(mount) for mount in expect.baseline.get("mounts", [])]
    if not before:
        pytest.fail("tidak ada sistem berkas yang tercatat sebelum pemutakhiran", pytrace=False)

    def wrong_mounts() -> list[str]:
        return [f"{place} {MOUNTED[what]}" for place, what in ask("mounted", before)["differences"]]

    wrong = after_patience(host, wrong_mounts)

    assert not wrong, f"sistem berkas tidak seperti semula: {', '.join(wrong)}"


def test_restart_that_was_needed_is_done(host: Host, expect: Expectation, ask: Ask) -> None:
    """Mulai ulang yang diperlukan sudah dilakukan."""
    if redhat_host.is_one(host):
        # No file says so there: what needs a restart and was installed after the last one still needs it.
        asking = sorted(u["package"] for u in expect.plan.get("updates", []) if u.get("reboot"))
        needed_by = ask("restart_needed", asking)["needed_by"]
        assert not needed_by, f"mulai ulang masih diperlukan oleh: {' '.join(needed_by)}"
    pending = host.run("test -e /run/reboot-required && cat /run/reboot-required.pkgs 2>/dev/null")
    boot_id = host.run("cat /proc/sys/kernel/random/boot_id").stdout.strip()
    still_needed = host.run("test -e /run/reboot-required").rc == 0

    assert not still_needed, (
        f"mulai ulang masih diperlukan oleh: {' '.join(pending.stdout.split()) or 'sistem'}"
    )
    if expect.phase == "after-update" and expect.evidence("reboot_host").get("rebooted"):
        assert boot_id != expect.baseline["boot_id"], "host belum benar-benar dimulai ulang"


def test_kernel_that_came_is_running(host: Host, expect: Expectation) -> None:
    """Kernel yang baru dipasang sudah berjalan."""
    releases = kernels.planned_releases(expect.plan.get("updates", []))
    if expect.phase != "after-update" or not releases:
        # Nothing came that would have to run: told as a skip it would stand on every host's paper.
        return
    done = host.run("uname -r && test -e /boot/vmlinuz-$(uname -r)")
    running = done.stdout.strip()
    wanted = kernels.of_its_flavour(running, releases)
    if done.rc != 0 or not wanted:
        pytest.skip("host ini tidak berjalan dengan kernel dari paketnya sendiri")

    assert kernels.is_one_of(running, wanted), f"kernel {running} masih berjalan (seharusnya {wanted[-1]})"
