"""RouterBOARDs: the API by an emulator over TLS, and the export over a real sshd that answers as RouterOS."""

from __future__ import annotations

import hashlib
import ssl
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from office_services import certificate
from routeros_emulator import EXPORT, PASSWORD, ROWS, USER, Rows, answer_over_ssh, router, with_row
from service_field import Office, found, not_good

pytestmark = pytest.mark.campaign
MADE = certificate(names=("router",))
UPDATE = "/system/package/update/print"


@pytest.fixture(name="tls")
def _tls(office: Office) -> ssl.SSLContext:
    pem = office.folder / "router.pem"
    pem.write_bytes(MADE.site + MADE.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


def about(port: int, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - any input
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(MADE.site.decode())).hexdigest()
    said = {"address": "127.0.0.1", "port": port, "user": USER, "password": PASSWORD, "timeout": 8,
            "certificate_sha256": digest} | more  # fmt: skip
    return {f"check_routerboard_{key}": value for key, value in said.items()}


@pytest.mark.parametrize(
    ("rows", "more", "wrong"),
    [
        (ROWS, {}, {}),
        (ROWS, {"password": "salah"}, {"routerboard_login": "critical"}),
        (ROWS, {"certificate_sha256": "0" * 64}, {"routerboard_certificate": "critical"}),
        (ROWS, {"certificate_sha256": ""}, {"routerboard_certificate": "critical"}),
        (with_row(UPDATE, latest_version="7.16"), {}, {"routeros_update": "warning"}),
        (
            with_row("/system/resource/print", cpu_load="99", free_memory="100"),
            {},
            {"routerboard_cpu": "critical", "routerboard_memory": "critical"},
        ),
    ],
)
def test_a_router(
    office: Office, tls: ssl.SSLContext, rows: Rows, more: dict[str, Any], wrong: dict[str, str]
) -> None:
    with router(rows, tls=tls) as there:
        check = office.check("check_routerboard", about(there.port, **more))
    assert not_good(check) == wrong
    assert office.played
    assert PASSWORD not in office.played.output + str(office.played.evidence)


def test_a_router_that_is_off_does_not_stop_the_others(office: Office, tls: ssl.SSLContext) -> None:
    with router(tls=tls) as there:
        hosts = {"mati": about(9), "baik": about(there.port)}
        played = office.play("check_routerboard", hosts, "check-hosts.yml")
    told = {name: played.evidence[name]["check_routerboard"]["findings"][0]["severity"] for name in hosts}
    assert (told, played.failures) == ({"mati": "critical", "baik": "good"}, {})


@pytest.fixture(name="sshd")
def _sshd(office: Office) -> Iterator[dict[str, Any]]:
    """Let svc1 take a user in whose shell answers as RouterOS does."""
    host = office.host("svc1")
    answer_over_ssh(host)
    yield {
        "ansible_host": office.address("svc1"),
        "ansible_user": "router",
        "back_up_routerboard_directory": str(office.folder / "backups"),
        "back_up_routerboard_tag": "2026-11-21-contoh-1",
    }
    host.run("userdel -r router")


def test_the_configuration_is_kept_whole_and_private(office: Office, sshd: dict[str, Any]) -> None:
    for changed in (2, 0):
        played = office.play("check_routerboard", {"layanan": sshd}, "backup-hosts.yml")
        assert (played.failures, played.changed("layanan")) == ({}, changed)
    file = office.folder / "backups" / "layanan" / "2026-11-21-contoh-1.rsc"
    assert file.read_text() == EXPORT + "# rawat: end of the export\n"
    assert [stat.S_IMODE(path.stat().st_mode) for path in (file, file.parent)] == [0o600, 0o700]
    assert played.evidence["layanan"]["back_up_routerboard"] == {
        "file": "layanan/2026-11-21-contoh-1.rsc",
        "bytes": file.stat().st_size,
        "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
    }
    assert "192.168.88.1" not in played.output


@pytest.mark.parametrize("fault", ["touch /srv/router/cut", "echo bad command name > /srv/router/export"])
def test_an_export_that_is_not_whole_is_not_kept(office: Office, sshd: dict[str, Any], fault: str) -> None:
    office.host("svc1").check_output(f"sh -c '{fault}'")
    played = office.play("check_routerboard", {"layanan": sshd}, "backup-hosts.yml")
    assert "no whole configuration" in played.failures["layanan"]
    assert list(Path(office.folder).glob("backups/layanan/*")) == []


def test_an_unknown_router_is_not_asked(office: Office, sshd: dict[str, Any]) -> None:
    wrong = sshd | {"ansible_host": office.lab.controller}
    played = office.play("check_routerboard", {"layanan": wrong}, "backup-hosts.yml")
    assert played.counts["layanan"]["unreachable"] == 1


def test_the_check_says_which_versions_wait(office: Office, tls: ssl.SSLContext) -> None:
    with router(with_row(UPDATE, latest_version="7.16"), tls=tls) as there:
        told = found(office.check("check_routerboard", about(there.port)), "routeros_update")
    assert (told.measured, told.threshold) == ("7.15.3", "7.16")
