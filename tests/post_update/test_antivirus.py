"""The antivirus finds what it has to find, with the database that is on disk."""

from __future__ import annotations

import base64
import re

import pytest
from conftest import Expectation
from testinfra.host import Host

# EICAR's harmless test file, encoded: in clear it would make every scanner report this source file.
EICAR = "WDVPIVAlQEFQWzRcUFpYNTQoUF4pN0NDKTd9JEVJQ0FSLVNUQU5EQVJELUFOVElWSVJVUy1URVNULUZJTEUhJEgrSCo="
CLEAN = base64.b64encode(b"Berkas bersih untuk pengujian antivirus.\n").decode()
FOUND, NOT_FOUND = 1, 0
DATABASE_INFO = (
    "sh -c 'cd /var/lib/clamav && sigtool --info=$(ls daily.cld daily.cvd | head -n 1)' 2>/dev/null"
)


@pytest.fixture(autouse=True)
def _has_antivirus(host: Host, expect: Expectation) -> None:
    """Skip hosts that have none; one that had it before the update has to have it now."""
    planned = expect.plan.get("antivirus") or expect.evidence("update_antivirus").get("product")
    if not planned and not host.exists("clamscan") and not host.exists("clamdscan"):
        pytest.skip("host ini tidak memakai ClamAV")


def is_scanner_wanted(host: Host) -> bool:
    """Tell whether the scanning service is meant to run on this host."""
    return host.run("systemctl is-enabled --quiet clamav-daemon.service").rc == 0


def scan(host: Host, content: str) -> tuple[int, str]:
    """Scan a file of this content on the host, and leave nothing behind."""
    scanner = "clamdscan --fdpass" if is_scanner_wanted(host) else "clamscan"
    done = host.run(
        'file=$(mktemp) && trap \'rm -f "$file"\' EXIT && printf %%s %s | base64 -d > "$file" && '
        f'timeout 300 {scanner} --no-summary --infected "$file"',
        content,
    )
    return done.rc, " ".join((done.stdout + done.stderr).split())[-300:]


def test_scanner_finds_the_test_virus(host: Host) -> None:
    """Antivirus menemukan berkas uji EICAR."""
    status, said = scan(host, EICAR)

    assert (status, "FOUND" in said) == (FOUND, True), f"berkas uji tidak ditemukan (kode {status}): {said}"


def test_scanner_passes_a_clean_file(host: Host) -> None:
    """Antivirus meloloskan berkas yang bersih."""
    status, said = scan(host, CLEAN)

    assert status == NOT_FOUND, f"berkas bersih tidak lolos (kode {status}): {said}"


def test_loaded_database_is_the_one_on_disk(host: Host) -> None:
    """Basis data antivirus yang dipakai sama dengan yang di disk."""
    if not is_scanner_wanted(host):
        pytest.skip("layanan pemindai ClamAV tidak dipakai pada host ini")
    running = host.run("systemctl is-active clamav-daemon.service").stdout.strip()
    # Without a running service clamdscan answers from disk, and the comparison would prove nothing.
    assert running == "active", f"layanan pemindai ClamAV {running}"
    loaded = re.search(r"ClamAV [^/]+/(\d+)/", host.run("timeout 60 clamdscan --version").stdout)
    on_disk = re.search(r"^Version: (\d+)$", host.run(f"timeout 60 {DATABASE_INFO}").stdout, re.MULTILINE)
    versions = [match.group(1) if match else "tidak terbaca" for match in (loaded, on_disk)]

    assert loaded, f"versi basis data yang dipakai {versions[0]}"
    assert versions[0] == versions[1], f"basis data yang dipakai {versions[0]}, di disk {versions[1]}"
