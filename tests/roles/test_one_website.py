"""A website is checked on a real nginx over TLS and a real name server, dnsmasq, on a lab host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from office_services import (
    DOMAIN,
    SITE,
    certificate,
    expected_records,
    start_names,
    start_website,
    usual_records,
)
from played import LAB, FreshHost, Played, RunPlaybook

from lab import driver
from runner.checks import Check

pytestmark = pytest.mark.lab
_BAD = "wrong-name"


def inventory(folder: Path, address: str, authority: bytes) -> Path:
    """Write an inventory of four websites that differ in what the office says of them."""
    file = folder / "hosts.yml"
    (folder / "ca.pem").write_bytes(authority)
    about = {
        "check_website_url": f"https://{SITE}/",
        "check_website_text": "Beranda",
        "check_website_resolver": address,
        "check_website_ca_file": str(folder / "ca.pem"),
        "check_website_records": expected_records(address),
        "check_website_domain": DOMAIN,
    }
    hosts = {
        "situs": {"check_website_url": f"http://{SITE}/"},
        "situs-lain": {"check_website_url": f"https://lain.{DOMAIN}/", "check_website_text": "Pengumuman"},
        "situs-hilang": {"check_website_url": f"https://hilang.{DOMAIN}/"},
        "situs-mati": {"check_website_url": f"https://{SITE}:8443/"},
    }
    file.write_text(yaml.safe_dump({"websites": {"hosts": hosts, "vars": about}}), encoding="utf-8")
    return file


def judged(played: Played, host: str) -> dict[str, tuple[str, Any]]:
    """Return severity and value of each finding, which is what the runner would take."""
    check = Check.model_validate(played.evidence[host]["check_website"])
    return {
        f"{f.code} {f.subject}" if f.code == "dns_record" else f.code: (f.severity, f.measured)
        for f in check.findings
    }


def test_a_website_with_its_certificate_and_records(
    fresh_host: FreshHost, run_playbook: RunPlaybook, tmp_path: Path
) -> None:
    host = fresh_host("file1")
    lab = driver.load(LAB)
    address = lab.address(lab.host("file1"))
    made = certificate(days=5)
    start_website(host, made)
    start_names(host, (*usual_records(address), f"host-record=lain.{DOMAIN},{address}"))
    played = run_playbook(
        "check-hosts.yml", "websites", inventory=inventory(tmp_path, address, made.authority)
    )
    assert (played.failures, played.changed("situs")) == ({}, 0)

    good = judged(played, "situs")
    assert good.pop("website_response_time")[0] == "good"
    assert good == {
        "website_reachable": ("good", "answered"),
        "website_status": ("good", 200),
        "website_content": ("good", "there"),
        "tls_expiry": ("warning", 5.0),
        "tls_name": ("good", SITE),
        "tls_chain": ("good", "ok"),
        f"dns_record A {SITE}": ("good", address),
        f"dns_record AAAA {SITE}": ("good", "fd00::13"),
        f"dns_record MX {DOMAIN}": ("good", f"10 mail.{DOMAIN}"),
        f"dns_record NS {DOMAIN}": ("good", f"ns1.{DOMAIN}"),
        "domain_expiry": ("unmeasured", None),
    }
    # One that is not as it should be does not stop the others.
    other = judged(played, "situs-lain")
    assert (other["tls_name"], other["website_content"]) == (("critical", SITE), ("critical", "missing"))
    assert judged(played, "situs-hilang")["website_reachable"] == ("critical", "no such name")
    assert judged(played, "situs-mati")["website_reachable"] == ("critical", "refused")
