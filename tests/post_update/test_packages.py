"""The packages are as approved (or, after a rollback, as before), and the package manager is healthy."""

from __future__ import annotations

import pytest
import redhat_host
from conftest import Ask, Expectation
from testinfra.host import Host


def installed_versions(host: Host) -> dict[str, tuple[str, str]]:
    """Return status and version of every package the host knows; a foreign one is `package:architecture`."""
    wanted = r"${Package}\t${Architecture}\t${db:Status-Abbrev}\t${Version}\n"
    done = host.run("timeout 60 dpkg-query --show --showformat %s", wanted)
    assert done.rc == 0, f"dpkg-query gagal: {done.stderr.strip()[-300:]}"
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    # dpkg itself is always of the host's own architecture.
    own = {"all", *(architecture for name, architecture, *_ in rows if name == "dpkg")}
    return {
        name if architecture in own else f"{name}:{architecture}": (status.strip(), version)
        for name, architecture, status, version in rows
    }


def is_installed(status: str) -> bool:
    """Tell whether dpkg's abbreviated status says that a package is wholly installed."""
    return status[1:] == "i"


def described(status: str, version: str) -> str:
    """Return a version, and that it is not wholly installed where that is so."""
    return version if not status or is_installed(status) else f"{version} belum terpasang tuntas"


def wrong_versions(host: Host, expect: Expectation) -> list[str]:
    """Return the planned packages that are not in the version they have to have."""
    found, gone = installed_versions(host), "tidak terpasang"
    return [
        f"{package} {described(*found.get(package, ('', gone)))} (seharusnya {version or gone})"
        for package, version in expect.versions.items()
        if not is_as_wanted(found.get(package, ("", "")), version)
    ]


def is_as_wanted(found: tuple[str, str], version: str) -> bool:
    """Tell whether a package has the version; after a rollback "" where it was not installed before."""
    status, installed = found
    if not version:
        return not is_installed(status)
    return installed == version and is_installed(status)


def test_planned_versions_are_in_effect(host: Host, expect: Expectation, ask: Ask) -> None:
    """Versi paket sesuai dengan rencana yang disetujui."""
    if not expect.versions:
        pytest.skip("tidak ada paket yang direncanakan pada host ini")
    redhat = redhat_host.is_one(host)
    wrong = redhat_host.wrong_versions(expect, ask) if redhat else wrong_versions(host, expect)

    assert not wrong, f"versi tidak sesuai: {', '.join(wrong)}"


@pytest.mark.usefixtures("expect")
def test_no_package_is_half_configured(host: Host) -> None:
    """Tidak ada paket yang terpasang setengah jalan."""
    if redhat_host.is_one(host):
        problems = redhat_host.problems(host)
        assert not problems, f"paket belum tuntas: {' '.join(problems)[:600]}"
        return
    audit = host.run("timeout 60 dpkg --audit")

    assert audit.rc == 0, f"dpkg --audit gagal: {audit.stderr.strip()[-300:]}"
    assert not audit.stdout.strip(), f"paket belum tuntas: {' '.join(audit.stdout.split())[:600]}"


def test_no_process_runs_old_code(expect: Expectation, ask: Ask) -> None:
    """Tidak ada proses yang masih menjalankan versi lama."""
    if not expect.versions:
        pytest.skip("tidak ada paket yang direncanakan pada host ini")
    found = ask("old_code", sorted(expect.versions))["found"]
    shown = [f"{item['process']} dari paket {item['package']}" for item in found]

    assert not found, f"masih menjalankan versi lama: {', '.join(shown[:20])}"
