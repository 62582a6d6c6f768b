"""All kinds of services in one action of the runner itself: one result each, and no secret left anywhere."""

from __future__ import annotations

import hashlib
import shutil
import ssl
from pathlib import Path
from typing import Any

import pytest
import yaml
from office_services import DOMAIN, SITE, certificate, put, start_names, start_website
from played import ROOT
from routeros_emulator import PASSWORD, USER, router
from service_field import Office

from lab import faults
from runner.evidence import accepted
from runner.executors.base import ActionRequest, HostResult
from runner.executors.playbook import PlaybookExecutor
from runner.files import make_private_dir
from runner.findings import Results
from runner.sentences import sentence

pytestmark = pytest.mark.campaign
COMMUNITY, WORD = "komunitas-yang-dirahasiakan", "sandi-basis-data-yang-dirahasiakan"
MADE = certificate()


def inventory(office: Office, port: int, digest: str) -> Path:
    """Return a folder with the lab's hosts and an office's services."""
    one, two = (office.address(name) for name in ("svc1", "svc2"))
    folder = office.folder / "inventory"
    shutil.copytree(office.inventory, folder)
    (office.folder / "ca.pem").write_bytes(MADE.authority)
    site = {"check_website_url": f"https://{SITE}/", "check_website_resolver": one,
            "check_website_text": "Beranda",
            "check_website_ca_file": str(office.folder / "ca.pem")}  # fmt: skip
    services: dict[str, dict[str, dict[str, Any]]] = {
        "websites": {"situs": site, "situs-mati": site | {"check_website_url": f"https://{SITE}:9/"}},
        "databases": {
            "basisdata": {"check_database_via": "svc1"},
            "basisdata-jauh": {
                "check_database_via": "svc1", "check_database_engine": "mariadb",
                "check_database_address": one, "check_database_user": "pantau",
                "check_database_password": WORD,
            },
            "basisdata-hilang": {"check_database_via": "svc2"},
        },
        "printers": {"printer": {"ansible_host": two, "check_printer_timeout": 4}},
        "network_devices": {
            "saklar": {"ansible_host": one, "check_network_device_community": COMMUNITY},
            "saklar-mati": {"ansible_host": two, "check_network_device_community": COMMUNITY,
                            "check_network_device_timeout": 8},
        },
        "routerboards": {
            "router": {
                "check_routerboard_address": "127.0.0.1", "check_routerboard_port": port,
                "check_routerboard_user": USER, "check_routerboard_password": PASSWORD,
                "check_routerboard_certificate_sha256": digest,
            }
        },
        "internet_links": {"jalur": {"check_internet_link_targets": [one],
                                     "check_internet_link_names": [SITE],
                                     "check_internet_link_resolver": one}},
    }  # fmt: skip
    tree = {group: {"hosts": hosts} for group, hosts in services.items()}
    (folder / "services.yml").write_text(yaml.safe_dump(tree), encoding="utf-8")
    return folder


def act(folder: Path, hosts: tuple[str, ...], work: Path) -> dict[str, HostResult]:
    request = ActionRequest(
        "2026-11-21-layanan-1", 2, 1, "1", hosts, folder, work, make_private_dir(work / "host_state"),
        playbook=ROOT / "playbooks" / "check-hosts.yml",
    )  # fmt: skip
    done = PlaybookExecutor(ROOT).execute(request, lambda _event: None)
    return {result.host: accepted(result, changes=False) for result in done}


def worst(result: HostResult) -> str:
    """Return what the host's first finding that is not good says, as officials read it."""
    check = Results.model_validate(result.results).check
    assert check
    bad = [one for one in check.not_good if one.severity in {"critical", "warning"}]
    return sentence(check.kind, bad[0]) if bad else ""


def test_every_kind_in_one_action(office: Office) -> None:
    host, address = office.host("svc1"), office.address("svc1")
    start_website(host, MADE)
    start_names(host, (f"host-record={SITE},{address}", f"host-record={DOMAIN},{address}"))
    put(host, "/etc/snmp/snmpd.conf", f"agentaddress udp:161\nrocommunity {COMMUNITY}\nsysName saklar\n")
    host.check_output("systemctl restart snmpd")
    host.check_output("systemctl stop mariadb.socket mariadb.service")
    faults.cut_cable(office.lab, office.lab.host("svc2"))
    pem = office.folder / "router.pem"
    pem.write_bytes(MADE.site + MADE.key)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pem)
    work = make_private_dir(office.folder / "work")
    with router(tls=tls) as there:
        digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert(MADE.site.decode())).hexdigest()
        folder = inventory(office, there.port, digest)
        hosts = ("situs", "situs-mati", "basisdata", "basisdata-jauh", "basisdata-hilang", "printer",
                 "saklar", "saklar-mati", "router", "jalur")  # fmt: skip
        results = act(folder, hosts, work)

    statuses = {name: result.status for name, result in results.items()}
    assert statuses == {name: "unreachable" if name == "basisdata-hilang" else "ok" for name in hosts}
    told = {name: worst(result) for name, result in results.items() if result.status == "ok"}
    two = office.address("svc2")
    assert told == {
        "situs": "",
        "situs-mati": f"Situs https://{SITE}:9/: menolak sambungan.",
        "basisdata": "Server basis data postgresql: menolak sambungan.",
        "basisdata-jauh": "Server basis data mariadb: menolak sambungan.",
        "printer": told["printer"],
        "saklar": "",
        "saklar-mati": f"Perangkat {two}: tidak menjawab.",
        "router": "",
        "jalur": "",
    }
    assert told["printer"].startswith(f"Printer ipp://{two}:631/ipp/print: tidak ")
    left = [path for path in work.rglob("*") if path.is_file()]
    secrets = (COMMUNITY, WORD, PASSWORD)
    assert len(left) > 5
    assert [p for p in left if any(s.encode() in p.read_bytes() for s in secrets)] == []
    assert not any(word in str(results) for word in secrets)
