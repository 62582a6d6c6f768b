"""Websites on a real nginx with a real name server (dnsmasq): good, and with each fault that has a name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from office_services import (
    DOMAIN,
    PAGE,
    SITE,
    certificate,
    expected_records,
    start_names,
    start_website,
    stop,
    usual_records,
)
from service_field import Office, found, not_good

from lab import faults

pytestmark = pytest.mark.campaign
MADE = certificate()


@pytest.fixture(name="site")
def _site(office: Office) -> dict[str, Any]:
    """Serve a good website, and return what the office says of it."""
    host, address = office.host("svc1"), office.address("svc1")
    authority = office.folder / "ca.pem"
    authority.write_bytes(MADE.authority)
    start_website(host, MADE)
    start_names(host, usual_records(address))
    return {
        "check_website_url": f"https://{SITE}/",
        "check_website_text": "Beranda",
        "check_website_resolver": address,
        "check_website_ca_file": str(authority),
        "check_website_records": expected_records(address),
        "check_website_domain": DOMAIN,
        "check_website_timeout": 6,
    }


def test_a_good_one(office: Office, site: dict[str, Any]) -> None:
    check = office.check("check_website", site)
    assert (not_good(check), found(check, "tls_expiry").measured) == ({}, 90.0)


@pytest.mark.parametrize(("days", "severity"), [(5, "warning"), (2, "critical")])
def test_a_certificate_that_ends_soon(office: Office, site: dict[str, Any], days: int, severity: str) -> None:
    made = certificate(days=days)
    start_website(office.host("svc1"), made)
    Path(site["check_website_ca_file"]).write_bytes(made.authority)
    assert not_good(office.check("check_website", site)) == {"tls_expiry": severity}


def test_an_expired_certificate(office: Office, site: dict[str, Any]) -> None:
    made = certificate(days=-3)
    start_website(office.host("svc1"), made)
    Path(site["check_website_ca_file"]).write_bytes(made.authority)
    assert not_good(office.check("check_website", site)) == {"tls_expired": "critical"}


def test_a_certificate_for_another_name(office: Office, site: dict[str, Any]) -> None:
    made = certificate(names=("lain.go.id",))
    start_website(office.host("svc1"), made)
    Path(site["check_website_ca_file"]).write_bytes(made.authority)
    assert not_good(office.check("check_website", site)) == {"tls_name": "critical"}


def test_an_authority_that_nobody_knows(office: Office, site: dict[str, Any]) -> None:
    assert not_good(office.check("check_website", site | {"check_website_ca_file": ""})) == {
        "tls_chain": "critical"
    }


@pytest.mark.parametrize("status", [403, 500, 503])
def test_another_status(office: Office, site: dict[str, Any], status: int) -> None:
    start_website(office.host("svc1"), MADE, rules=f"location / {{ return {status}; }}")
    check = office.check("check_website", site)
    assert (found(check, "website_status").measured, "website_content" in not_good(check)) == (status, True)


def test_a_defaced_page(office: Office, site: dict[str, Any]) -> None:
    start_website(office.host("svc1"), MADE, page=PAGE.replace("Beranda", "Slot gacor"))
    assert not_good(office.check("check_website", site)) == {"website_content": "critical"}


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("https://judi.example/", "elsewhere"),
        (f"https://{SITE}/", "too many"),
        (f"http://{SITE}/", "unencrypted"),
    ],
)
def test_a_page_that_leads_away(office: Office, site: dict[str, Any], target: str, told: str) -> None:
    start_website(office.host("svc1"), MADE, rules=f"location / {{ return 302 {target}; }}")
    assert found(office.check("check_website", site), "website_redirect").measured == told


def test_a_stopped_server(office: Office, site: dict[str, Any]) -> None:
    stop(office.host("svc1"), "lab-situs")
    assert found(office.check("check_website", site), "website_reachable").measured == "refused"


def test_a_server_that_swallows_everything(office: Office, site: dict[str, Any]) -> None:
    faults.drop_packets(office.lab, office.lab.host("svc1"), 100)
    by_address = {"check_website_resolver": "", "check_website_records": []}
    by_address |= {"check_website_url": f"https://{office.address('svc1')}/"}
    told = office.check("check_website", site | by_address)
    assert found(told, "website_reachable").measured == "timeout"


def test_a_name_that_is_gone(office: Office, site: dict[str, Any]) -> None:
    start_names(office.host("svc1"), ())
    check = office.check("check_website", site)
    assert found(check, "website_reachable").measured == "no such name"
    assert found(check, "dns_record", f"A {SITE}").measured == "no such name"


def test_a_record_that_was_turned_elsewhere(office: Office, site: dict[str, Any]) -> None:
    other = office.address("svc2")
    start_names(office.host("svc1"), (f"host-record={SITE},{other}",))
    told = found(office.check("check_website", site), "dns_record", f"A {SITE}")
    assert (told.severity, told.measured, told.threshold) == ("critical", other, office.address("svc1"))


def test_a_name_server_that_is_down(office: Office, site: dict[str, Any]) -> None:
    stop(office.host("svc1"), "lab-nama")
    check = office.check("check_website", site)
    assert found(check, "website_reachable").measured == "name server no answer"
    assert found(check, "dns_record", f"A {SITE}").severity == "unmeasured"
    assert found(check, "dns_resolver", f"A {SITE}").severity == "critical"


def test_one_dead_site_does_not_stop_the_others(office: Office, site: dict[str, Any]) -> None:
    dead = site | {"check_website_url": f"https://{office.address('svc2')}:9/"}
    wrong = site | {"check_website_resolver": "nama"}
    played = office.play("check_website", {"mati": dead, "salah": wrong, "baik": site}, "check-hosts.yml")
    severities = {name: played.evidence[name]["check_website"].get("kind") for name in ("mati", "baik")}
    assert (severities, list(played.failures)) == ({"mati": "website", "baik": "website"}, ["salah"])
    assert "is not ADDRESS or ADDRESS:PORT" in played.failures["salah"]
