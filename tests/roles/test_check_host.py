"""The role that checks computers, on real hosts of a lab: a sick host, a sound one, and the cost for them."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from office_services import certificate
from played import FreshHost, Played, RunPlaybook
from testinfra.host import Host

from runner.checks import Check

pytestmark = pytest.mark.lab

SOUND, SICK = "web1", "db1"
# What the sick host's own inventory says of it: its limits, and a Python whose clock is an hour late.
ITS_OWN = {
    "check_host_expected_ports": ["tcp/22", "tcp/443", "tcp/8090"],
    "check_host_expected_units": ["lab-good.service", "lab-asked.service", "lab-none.service"],
    "check_host_certificates": ["/srv/expired.pem", "/srv/none.pem"],
    "check_host_disk_warning_percent": 50,
    "check_host_disk_critical_percent": 90,
    "ansible_python_interpreter": "/srv/late-python",
}
LATE_PYTHON = """\
#!/usr/bin/python3
import sys, time
now = time.time
time.time = lambda: now() - 3600
exec(sys.stdin.read())
"""
# One row of the fault table each. The certificate is put there by the test.
FAULTS = f"""
set -e
mkdir -p /srv/full /srv/many /srv/half /var/backups/rawat
mount -t tmpfs -o size=1m none /srv/full; head -c 1048576 /dev/zero > /srv/full/x
mount -t tmpfs -o size=1m,nr_inodes=10 none /srv/many; (cd /srv/many && touch 1 2 3 4 5 6 7 8 9)
mount -t tmpfs -o size=1m none /srv/half; head -c 655360 /dev/zero > /srv/half/x
systemd-run --quiet --unit=lab-dead false || true
systemd-run --quiet --unit=lab-asked -p RemainAfterExit=yes false || true
systemd-run --quiet --unit=lab-extra python3 -m http.server 4444
cp /bin/sleep /opt/lab-sleep; systemd-run --quiet --unit=lab-old /opt/lab-sleep 600
for n in 1 2 3 4 5 6 7 8 9; do sleep 0.1; pgrep -x lab-sleep > /dev/null && break; done; rm /opt/lab-sleep
echo '{{"started": {time.time() - 100 * 86400}}}' > /var/backups/rawat/verified-snapshot.json
touch /run/reboot-required
sed -i '0,/^Status: install ok installed/s//Status: install ok half-configured/' /var/lib/dpkg/status
for n in $(seq 60); do echo broken; done | systemd-cat -t lab -p err
while ! ss -Hltn sport = :4444 | grep -q .; do sleep 0.1; done
"""
NAMED = {
    ("disk_space", "/srv/full", "critical"),
    ("disk_inodes", "/srv/many", "critical"),
    ("disk_space", "/srv/half", "warning"),
    ("unit_failed", "lab-dead.service", "warning"),
    ("unit_dead", "lab-asked.service", "critical"),
    ("unit_dead", "lab-none.service", "critical"),
    ("port_missing", "tcp/443", "critical"),
    ("port_unexpected", "tcp/4444", "warning"),
    ("old_code", "/opt/lab-sleep", "warning"),
    ("backup_age", "", "critical"),
    ("reboot_required", "", "warning"),
    ("journal_errors", "", "warning"),
    ("certificate_expired", "/srv/expired.pem", "critical"),
    ("certificate", "/srv/none.pem", "unmeasured"),
    ("clock_offset", "", "critical"),
}


@pytest.fixture
def its_own_limits(lab_inventory: Path) -> Iterator[None]:
    """Let the inventory say of the sick host what it does not say of the others."""
    folder = lab_inventory / "host_vars" / SICK
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "check.yml"
    file.write_text(json.dumps(ITS_OWN), encoding="utf-8")
    yield
    file.unlink()


def put(host: Host, path: str, data: bytes, mode: str = "0644") -> None:
    host.check_output(f"echo {base64.b64encode(data).decode()} | base64 -d > {path}; chmod {mode} {path}")


def check_of(played: Played, host: str) -> Check:
    return Check.model_validate(played.evidence[host]["check_host"])


def not_good(check: Check) -> set[tuple[str, str, str]]:
    return {(f.code, f.subject, f.severity) for f in check.findings if f.severity != "good"}


def changed_since(host: Host, stamp: str) -> str:
    """Return what changed on the host's disks, but for what every login and the journal write."""
    logs = "-path /var/log -prune -o"
    return str(host.check_output(f"find / -xdev {logs} -newer {stamp} ! -path {stamp} -not -type d -print"))


@pytest.mark.usefixtures("its_own_limits")
def test_a_sick_host_is_told_from_a_sound_one_in_one_round_trip(
    run_playbook: RunPlaybook,
    fresh_host: FreshHost,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sound, sick = fresh_host(SOUND), fresh_host(SICK)
    sick.check_output(FAULTS)
    put(sick, "/srv/expired.pem", certificate(days=-30).site)
    put(sick, "/srv/late-python", LATE_PYTHON.encode(), "0755")
    broken = sick.check_output("grep -B1 half-configured /var/lib/dpkg/status | sed -n 's/^Package: //p'")
    for host in (sound, sick):
        host.check_output("touch /srv/stamp && sleep 0.05")
    monkeypatch.setenv("ANSIBLE_VERBOSITY", "3")

    played = run_playbook("check-hosts.yml", f"{SOUND},{SICK}")

    assert played.failures == {}
    # The sound one has no backup yet, and that is all.
    assert not_good(check_of(played, SOUND)) == {("backup_missing", "", "warning")}
    assert not_good(check_of(played, SICK)) == NAMED | {("packages_broken", broken, "critical")}
    assert [played.output.count(f"<{_address(host)}> SSH: EXEC") for host in (sound, sick)] == [1, 1]
    assert [played.changed(host) for host in (SOUND, SICK)] == [0, 0]
    assert [changed_since(host, "/srv/stamp") for host in (sound, sick)] == ["", ""]

    again = run_playbook("check-hosts.yml", SICK, check=True)
    assert not_good(check_of(again, SICK)) == not_good(check_of(played, SICK))

    # Who is not root is told what he may see; the rest is unmeasured and never good.
    unprivileged = run_playbook("check-hosts.yml", SOUND, ansible_become_user="nobody")
    severities = {f.code: f.severity for f in check_of(unprivileged, SOUND).findings}
    assert {severities[code] for code in ("journal_errors", "old_code")} == {"unmeasured"}
    assert {severities[code] for code in ("disk_space", "memory", "unit_failed")} == {"good"}


def _address(host: Host) -> str:
    return str(host.check_output("hostname -I").split()[0])
