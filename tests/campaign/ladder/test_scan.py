"""A real scanner on a real host: found, told, moved only when approved, given back by one command."""

from __future__ import annotations

import base64

import pytest
from ladder_field import RUN, LadderField
from office_services import put

pytestmark = [pytest.mark.lab, pytest.mark.campaign]

# As it stands in the tests after an update: it must not lie on this machine in clear.
EICAR = "WDVPIVAlQEFQWzRcUFpYNTQoUF4pN0NDKTd9JEVJQ0FSLVNUQU5EQVJELUFOVElWSVJVUy1URVNULUZJTEUhJEgrSCo="
SICK = "/srv/berkas/it's sick.com"
STORE = "/var/lib/rawat/quarantine"


def test_eicar_is_told_then_moved_when_approved_and_given_back(field: LadderField) -> None:
    host = field.fresh()
    host.check_output("mkdir -p /srv/berkas && echo clean > /srv/berkas/clean.txt")
    put(host, "/tmp/sick", base64.b64decode(EICAR))
    host.check_output("install -o daemon -g games -m 0751 /tmp/sick %s", SICK)
    host.check_output("rm /tmp/sick")
    paths = {"scan_host_paths": ["/srv"]}
    approved = {"rawat_quarantine_approved": True, "rawat_changes": True}

    told = field.evidence("scan-hosts.yml", rawat_quarantine_approved=True, **paths)["scan_host"]
    still_there = host.file(SICK).exists
    moved = field.evidence("scan-hosts.yml", **approved, **paths)["scan_host"]
    again = field.evidence("scan-hosts.yml", **approved, **paths)["scan_host"]

    assert (told["product"], told["complete"], told["problem"]) == ("ClamAV", True, "")
    assert [(item["path"], item["moved"], item["reason"]) for item in told["found"]] == [
        (SICK, False, "moving was not approved")
    ]
    assert still_there
    (found,) = moved["found"]
    assert (found["moved"], found["mode"]) == (True, "0751")
    assert not host.file(SICK).exists
    assert host.file(STORE).mode == 0o700
    assert host.file(f"{STORE}/{found['id']}").mode == 0o400
    assert again["found"] == []
    assert host.file("/srv/berkas/clean.txt").exists
    assert host.run("systemctl --failed --no-legend").stdout == ""

    read = "import json,sys; print(json.load(open(sys.argv[1]))['restore'])"
    put(host, "/root/back", f'cd {STORE} && sh -c "$(python3 -c "{read}" $1)"\n')
    host.check_output(f"sh /root/back {found['id']}.json")
    back = host.file(SICK)
    assert (back.user, back.group, back.mode, back.sha256sum) == ("daemon", "games", 0o751, found["sha256"])


def test_a_scan_that_takes_too_long_is_ended_and_never_clean(field: LadderField) -> None:
    host = field.fresh()
    host.check_output("mkdir -p /srv/berkas && echo clean > /srv/berkas/clean.txt")
    slow = {"scan_host_command": ["/bin/sleep", "600"], "scan_host_pattern": "(?P<path>x)(?P<signature>y)"}

    played = field.play("scan-hosts.yml", scan_host_paths=["/srv"], scan_host_seconds=2, **slow)

    assert "The scan is not complete" in played.failures["web1"]
    assert not played.evidence["web1"]["scan_host"]["complete"]
    assert host.check_output("systemctl is-active rawat-scan-host.service || true") == "inactive"


def test_without_a_scanner_the_host_fails_in_words(field: LadderField) -> None:
    host = field.fresh()
    host.check_output("systemctl stop clamav-daemon.service && rm /usr/bin/clamscan && mkdir -p /srv/berkas")

    played = field.play("scan-hosts.yml", scan_host_paths=["/srv"])

    assert "no scanner is on this host" in played.failures["web1"]


def test_another_product_is_asked_by_its_own_command(field: LadderField) -> None:
    host = field.fresh()
    host.check_output(
        "mkdir -p /srv/berkas && echo clean > /srv/berkas/clean.txt && echo bad > /srv/berkas/bad.txt"
    )
    put(
        host,
        "/usr/local/bin/lain",
        '#!/bin/sh\nif x=$(grep bad.txt "$1"); then echo "Jahat|$x"; exit 1; fi\n',
    )
    host.check_output("chmod 755 /usr/local/bin/lain")
    other = {"scan_host_command": ["/usr/local/bin/lain", "{list}"],
             "scan_host_pattern": r"^(?P<signature>\w+)\|(?P<path>/.*)$"}  # fmt: skip

    told = field.evidence("scan-hosts.yml", scan_host_paths=["/srv/berkas"], **other)["scan_host"]

    assert [(item["path"], item["signature"]) for item in told["found"]] == [("/srv/berkas/bad.txt", "Jahat")]
    assert host.file(f"/var/lib/rawat/{RUN}/scan_host.log").mode == 0o600
