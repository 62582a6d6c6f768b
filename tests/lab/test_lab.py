"""The lab keeps its promises: hosts, package channel, virus databases, backups, and a clean end."""

import hashlib
import json
import os
import re
import shlex
import signal
import smtplib
import socket
import subprocess
import time
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from lab import driver, hosts, mail, network, packages, processes, services
from lab.clamav import EICAR
from lab.cli import app
from lab.driver import Wish, leftovers
from lab.errors import ImpossibleHereError
from lab.inventory import COMMITTED, hosts_file
from lab.layout import DEBIAN_SECURITY, HERMETIC, Lab
from lab.processes import Unit
from runner.notices import parse_settings

NAME, OTHER = "test-lab", "test-lab-other"
PENDING = {
    "web1": {"lab-good", "lab-sick", "lab-tool"},
    "db1": {"lab-good", "lab-reboot", "lab-tool"},
    "file1": {"lab-good", "lab-newdep", "lab-tool"},
}

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    driver.down(NAME)
    yield driver.up(Wish(NAME, 3, HERMETIC, tmp_path_factory.mktemp("inventory")))
    driver.down(NAME)
    assert leftovers(NAME) == []


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Lab]:
    driver.down(OTHER)
    yield driver.up(Wish(OTHER, 1, HERMETIC, tmp_path))
    driver.down(OTHER)
    assert leftovers(OTHER) == []


def ask(lab: Lab, host: str, command: str, codes: tuple[int, ...] = (0,)) -> str:
    """Return what a command on a host says, by ssh as the inventory sets it up."""
    settings = yaml.safe_load((lab.inventory / "group_vars/all/connection.yml").read_text())
    options = shlex.split(settings["ansible_ssh_common_args"])
    key = settings["ansible_ssh_private_key_file"]
    argv = ["ssh", *options, "-i", key, f"root@{lab.address(lab.host(host))}", command]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode in codes, f"{host}: {command}: {done.returncode}: {done.stdout} {done.stderr}"
    return (done.stdout + done.stderr).strip()


def status_of(lab: Lab, host: str, url: str) -> str:
    return ask(lab, host, f"curl -s -o /dev/null -w '%{{http_code}}' {url}", (0, 7))


def refresh(lab: Lab, host: str) -> set[str]:
    """Return the packages for which a host sees updates."""
    ask(lab, host, "apt-get -qq -o APT::Update::Error-Mode=any update")
    listed = ask(lab, host, "apt list --upgradable 2>/dev/null").splitlines()[1:]
    return {line.split("/")[0] for line in listed}


def each_host(lab: Lab, command: str) -> dict[str, str]:
    return {plan.name: ask(lab, plan.name, command) for plan in lab.hosts}


def test_every_host_runs_and_has_its_own_name(lab: Lab) -> None:
    assert dict.fromkeys(PENDING, "running") == each_host(lab, "systemctl is-system-running --wait")
    assert {name: name for name in PENDING} == each_host(lab, "hostname")


def test_every_host_is_known_by_its_own_id_and_key(lab: Lab) -> None:
    assert len(PENDING) == len(set(each_host(lab, "cat /etc/machine-id").values()))
    assert len(PENDING) == len(set(each_host(lab, "cat /etc/ssh/ssh_host_ed25519_key.pub").values()))
    known = (lab.inventory / "known_hosts").read_text().splitlines()
    assert [lab.address(plan) for plan in lab.hosts] == [line.split()[0] for line in known]


def test_a_host_with_another_key_is_refused(lab: Lab) -> None:
    key = "/etc/ssh/ssh_host_ed25519_key"
    ask(lab, "file1", f"rm {key}; ssh-keygen -q -t ed25519 -N '' -f {key}; systemctl restart ssh")
    hosts.close_connections(lab, lab.host("file1"))
    assert "REMOTE HOST IDENTIFICATION HAS CHANGED" in ask(lab, "file1", "true", (255,))
    driver.reset(NAME, "file1")
    assert ask(lab, "file1", "hostname") == "file1"


def test_ansible_reaches_every_host_with_the_written_inventory(lab: Lab) -> None:
    root = Path(__file__).parent.parent.parent
    ansible = root / ".venv/bin/ansible"
    argv = [str(ansible) if ansible.exists() else "ansible", "-i", str(lab.inventory), "all", "-m", "ping"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False, cwd=root)
    assert (0, len(PENDING)) == (done.returncode, done.stdout.count("SUCCESS")), done.stderr


def test_pending_updates_are_the_promised_ones(lab: Lab) -> None:
    assert {name: refresh(lab, name) for name in PENDING} == PENDING


def test_security_updates_are_told_apart_by_label(lab: Lab) -> None:
    refresh(lab, "web1")
    policy = ask(lab, "web1", "apt-cache policy")
    labels = dict(re.findall(r"n=(lab[\w-]*),l=([\w-]+)", re.sub(r",a=\S+?(?=,n=)", "", policy)))
    assert labels == {"lab": "Debian", "lab-updates": "Debian", "lab-security": "Debian-Security"}
    origin = ask(lab, "web1", "apt-cache policy lab-tool lab-sick")
    assert "lab-updates/main" in origin
    assert "lab-security/main" in origin


def test_a_suite_signed_by_another_key_is_refused(lab: Lab) -> None:
    source = f"deb [signed-by=/usr/share/keyrings/rawat-lab.gpg] {lab.url(8800)}/ evil main"
    ask(lab, "db1", f"echo '{source}' > /etc/apt/sources.list.d/evil.list")
    said = ask(lab, "db1", "apt-get -o APT::Update::Error-Mode=any update", (100,))
    ask(lab, "db1", "rm /etc/apt/sources.list.d/evil.list")
    assert "NO_PUBKEY" in said


def test_updates_behave_as_promised_and_can_be_undone(lab: Lab) -> None:
    refresh(lab, "web1")
    new = packages.NEW
    ask(lab, "web1", "apt-get -qq install lab-crash=1.0-1 lab-postinst=1.0-1")
    assert status_of(lab, "web1", "127.0.0.1:8092") == "200"
    ask(lab, "web1", f"apt-get -qq install lab-good={new} lab-sick={new} lab-crash={new}")
    assert (status_of(lab, "web1", "127.0.0.1:8090"), status_of(lab, "web1", "127.0.0.1:8091")) == (
        "200",
        "500",
    )
    assert ask(lab, "web1", "systemctl is-active lab-sick lab-crash").split() == ["active", "failed"]
    assert "exit status 3" in ask(lab, "web1", f"apt-get -qq install lab-postinst={new}", (100,))
    assert "lab-postinst" in ask(lab, "web1", "dpkg --audit")
    old = " ".join(f"{name}=1.0-1" for name in ("lab-good", "lab-sick", "lab-crash", "lab-postinst"))
    ask(lab, "web1", f"apt-get -qq install --allow-downgrades {old}")
    assert ask(lab, "web1", "dpkg --audit") == ""
    assert status_of(lab, "web1", "127.0.0.1:8091") == status_of(lab, "web1", "127.0.0.1:8092") == "200"
    driver.reset(NAME, "web1")


def test_update_with_a_new_dependency_is_kept_back(lab: Lab) -> None:
    refresh(lab, "file1")
    plan = ask(lab, "file1", "apt-get --simulate upgrade")
    assert "kept back:\n  lab-newdep" in plan
    assert "Inst lab-dep" in ask(lab, "file1", "apt-get --simulate dist-upgrade")


def test_reboot_update_says_that_a_reboot_is_required(lab: Lab) -> None:
    refresh(lab, "db1")
    ask(lab, "db1", f"apt-get -qq install lab-reboot={packages.NEW}")
    assert ask(lab, "db1", "cat /run/reboot-required.pkgs") == "lab-reboot"


def test_published_version_reaches_the_hosts(lab: Lab) -> None:
    driver.publish(NAME, "lab-tool", "1.0-1+deb12u2")
    refresh(lab, "web1")
    assert "Candidate: 1.0-1+deb12u2" in ask(lab, "web1", "apt-cache policy lab-tool")
    assert ask(lab, "web1", "apt-get changelog lab-tool | grep -c ^lab-tool").endswith("3")


def test_host_comes_back_from_a_reboot_with_what_it_wrote(lab: Lab) -> None:
    before = ask(lab, "db1", "touch /root/kept; cat /proc/sys/kernel/random/boot_id")
    ask(lab, "db1", "systemctl reboot", (0, 255))
    hosts.close_connections(lab, lab.host("db1"))
    # The greeting of the old sshd may still be there, so ask until the boot is another one.
    deadline = time.monotonic() + 60
    after = before
    while after == before and time.monotonic() < deadline:
        time.sleep(0.2)
        said = ask(lab, "db1", "cat /proc/sys/kernel/random/boot_id", (0, 255))
        after = said if re.fullmatch(r"[0-9a-f-]{36}", said) else before
    assert after != before
    assert ask(lab, "db1", "ls /root") == "kept"
    assert ask(lab, "db1", "systemctl is-system-running --wait") == "running"


def test_reset_gives_the_host_as_it_was(lab: Lab) -> None:
    ask(lab, "web1", "touch /root/mine; dpkg --purge lab-sick; rm -rf /usr/games /etc/clamav")
    identity = ask(lab, "web1", "cat /etc/machine-id")
    driver.reset(NAME, "web1")
    assert ask(lab, "web1", "ls /root") == ""
    assert ask(lab, "web1", "dpkg-query -W -f '${Version}' lab-sick") == "1.0-1"
    assert ask(lab, "web1", "cat /etc/machine-id; test -d /etc/clamav") == identity


def test_stopped_host_starts_with_the_disk_it_had(lab: Lab) -> None:
    ask(lab, "file1", "echo there > /root/kept")
    driver.stop(NAME, "file1")
    assert driver.look_at(lab, lab.host("file1")).state == "stopped"
    driver.start(NAME, "file1")
    assert ask(lab, "file1", "cat /root/kept") == "there"


def test_virus_databases_can_be_updated_and_find_the_test_file(lab: Lab) -> None:
    driver.reset(NAME, "web1")
    assert ask(lab, "web1", "systemctl is-enabled clamav-freshclam", (1,)) == "disabled"
    ask(lab, "web1", "systemctl is-active --quiet clamav-daemon || systemctl start clamav-daemon")
    assert "/1/" in ask(lab, "web1", "clamdscan --version")
    said = ask(lab, "web1", "freshclam")
    assert "daily.cvd updated (version: 6" in said
    assert "Clamd successfully notified" in said
    assert "main.cvd database is up-to-date" in said
    ask(lab, "web1", "until clamdscan --version | grep -q /6/; do sleep 0.2; done")
    ask(lab, "web1", f"printf %s {shlex.quote(EICAR)} > /tmp/test-file")
    assert "Rawat.Lab.Test.EICAR-1.UNOFFICIAL FOUND" in ask(
        lab, "web1", "clamdscan --fdpass /tmp/test-file", (1,)
    )


def test_truncated_virus_database_is_not_taken(lab: Lab) -> None:
    offered = lab.state / "antivirus/daily.cvd"
    whole = offered.read_bytes()
    offered.write_bytes(whole[:-500])
    try:
        said = ask(lab, "db1", "freshclam", tuple(range(1, 100)))
    finally:
        offered.write_bytes(whole)
    assert "updated (version: 6" not in said
    assert "Version: 1" in ask(lab, "db1", "sigtool --info /var/lib/clamav/daily.cvd")


def backup_environment(lab: Lab, host: str, repository: str) -> str:
    password = (lab.inventory / f"secrets/restic_rest_{host}").read_text().strip()
    own = (lab.inventory / "secrets/restic_password").read_text().strip()
    address = f"rest:http://{host}:{password}@{lab.controller}:8810/{repository}/"
    return f"export RESTIC_REPOSITORY={address} RESTIC_PASSWORD={own};"


def test_backups_can_be_added_and_not_removed(lab: Lab) -> None:
    restic = backup_environment(lab, "file1", "file1")
    ask(lab, "file1", f"{restic} restic init && restic backup --quiet /etc")
    snapshot = json.loads(ask(lab, "file1", f"{restic} restic snapshots --json"))[0]["short_id"]
    # restic tries again for most of a minute, the server's answer is the same.
    said = ask(lab, "file1", f"{restic} timeout -s INT 5 restic forget {snapshot}", (124,))
    assert "403 Forbidden" in said
    assert snapshot == json.loads(ask(lab, "file1", f"{restic} restic snapshots --json"))[0]["short_id"]
    ask(lab, "file1", f"{restic} restic restore --quiet {snapshot} --target /tmp/back")
    ask(lab, "file1", "diff -r --no-dereference /etc /tmp/back/etc")


def test_a_host_cannot_read_the_backups_of_another(lab: Lab) -> None:
    foreign = backup_environment(lab, "web1", "file1")
    assert "403 Forbidden" in ask(lab, "web1", f"{foreign} timeout 20 restic snapshots", (1, 124))


def test_secrets_are_readable_by_their_owner_only(lab: Lab) -> None:
    files = [*(lab.inventory / "secrets").iterdir(), lab.inventory / "keys/ssh_lab"]
    files += [lab.inventory / "keys" / name for name in ("pengelola", "analis", "pranata", "kabid")]
    assert {0o600} == {file.stat().st_mode & 0o777 for file in files}
    assert {0o700} == {file.parent.stat().st_mode & 0o777 for file in files}


def test_officials_keys_open_with_the_demo_passphrase(lab: Lab) -> None:
    key = lab.inventory / "keys/kabid"
    done = [
        subprocess.run(
            ["ssh-keygen", "-y", "-P", word, "-f", key], capture_output=True, check=False
        ).returncode
        for word in ("rawat-lab", "another")
    ]
    assert done == [0, 255]


def test_hosts_reach_nothing_but_the_lab(lab: Lab) -> None:
    with socket.create_server((lab.controller, 8899)):
        reached = ask(lab, "web1", f"curl -s -m 3 http://{lab.controller}:8899/", (7, 28))
    assert reached == ""
    assert "unreachable" in ask(lab, "web1", "ip route get 192.0.2.99", (2,))
    assert status_of(lab, "web1", f"http://{lab.controller}:8800/dists/lab/InRelease") == "200"


def test_mail_to_anybody_is_kept_and_shown(lab: Lab) -> None:
    letter = EmailMessage()
    letter["From"], letter["To"], letter["Subject"] = (
        "rawat@lab.example",
        "kabid@lab.example",
        "Menunggu Anda",
    )
    letter.set_content("Lihat [b]apa[/b] yang diputuskan.\n")
    settings = parse_settings((lab.inventory / "notify.yml").read_text(encoding="utf-8"), "notify.yml")
    assert settings.smtp is not None
    before = len(mail.received(lab))
    with smtplib.SMTP(settings.smtp.host, settings.smtp.port, timeout=20) as server:
        server.send_message(letter)

    assert settings.addresses["kabid"] == "kabid@lab.example"
    assert [kept["Subject"] for kept in mail.received(lab)][before:] == ["Menunggu Anda"]
    shown = CliRunner().invoke(app, ["mail", "--name", NAME]).output
    assert "To: kabid@lab.example" in shown
    assert "Lihat [b]apa[/b] yang diputuskan." in shown


def test_killed_service_comes_back(lab: Lab) -> None:
    unit = Unit(lab.name, services.FILES)
    before = processes.members(f"{unit.group}/{processes.GUEST}")
    processes.send(f"{unit.group}/{processes.GUEST}", signal.SIGKILL)
    deadline = time.monotonic() + 20
    while processes.members(f"{unit.group}/{processes.GUEST}") <= before and time.monotonic() < deadline:
        time.sleep(0.1)
    services.wait_for_service(lab, "channel", (lab.controller, 8800))


def test_up_again_leaves_a_running_lab_alone(lab: Lab) -> None:
    boot = ask(lab, "web1", "cat /proc/sys/kernel/random/boot_id")
    said: list[str] = []
    assert driver.up(Wish(NAME, 3, HERMETIC, lab.inventory), said.append) == lab
    assert said == ["already up"]
    assert ask(lab, "web1", "cat /proc/sys/kernel/random/boot_id") == boot
    with pytest.raises(ImpossibleHereError, match="is up with 3 hosts"):
        driver.up(Wish(NAME, 2, HERMETIC, lab.inventory))


def test_labs_beside_each_other_have_subnets_of_their_own(lab: Lab, other: Lab) -> None:
    assert other.number != lab.number
    assert ask(other, "web1", "hostname") == "web1"
    assert ask(other, "web1", "cat /etc/machine-id") != ask(lab, "web1", "cat /etc/machine-id")
    driver.down(OTHER)
    assert leftovers(OTHER) == []
    assert ask(lab, "web1", "hostname") == "web1"


def test_down_works_after_everything_was_killed_and_frozen(other: Lab) -> None:
    processes.freeze(Unit(OTHER, "web1"))
    assert driver.look_at(other, other.host("web1")).state == "not answering"
    processes.send(f"{processes.ROOT_GROUP}/{OTHER}", signal.SIGKILL)
    driver.down(OTHER)
    assert leftovers(OTHER) == []


def test_down_works_when_the_state_is_lost(other: Lab) -> None:
    (other.state / "lab.json").unlink()
    driver.down(OTHER)
    assert leftovers(OTHER) == []


def test_lab_comes_up_again_after_the_controller_was_restarted(other: Lab) -> None:
    # What a restart leaves: the state folder, and nothing in the kernel.
    group = f"{processes.ROOT_GROUP}/{OTHER}"
    processes.kill_group(group)
    processes.remove_groups(group)
    for place in driver.mounts(OTHER):
        subprocess.run(["umount", place], check=True)
    network.remove(OTHER)
    result = CliRunner().invoke(app, ["reset", "web1", "--name", OTHER])
    assert (result.exit_code, "rawat lab up" in result.stderr) == (4, True)
    assert [host.state for host in driver.look(other).hosts] == ["stopped"]
    again = driver.up(Wish(OTHER, 1, HERMETIC, other.inventory))
    assert ask(again, "web1", "hostname") == "web1"


def test_profile_of_real_debian_has_real_security_updates(tmp_path: Path) -> None:
    driver.down(OTHER)
    debian = driver.up(Wish(OTHER, 1, DEBIAN_SECURITY, tmp_path))
    try:
        pending = refresh(debian, "web1")
        policy = ask(debian, "web1", "apt-cache policy")
    finally:
        driver.down(OTHER)
    assert pending > {"apt", *PENDING["web1"]}
    assert f"{debian.url(8802)}/security bookworm-security/main" in policy
    assert "l=Debian-Security" in policy
    assert leftovers(OTHER) == []


def test_supervisors_belong_to_no_shell(lab: Lab) -> None:
    supervisors = processes.members(f"{Unit(lab.name, 'web1').group}/{processes.SUPERVISOR}")
    assert len(supervisors) == 1
    assert os.getsid(0) not in {os.getsid(pid) for pid in supervisors}


def test_status_for_programs_names_every_host(lab: Lab) -> None:
    result = CliRunner().invoke(app, ["status", "--name", NAME, "--json"])
    told = json.loads(result.stdout)
    assert [plan.name for plan in lab.hosts] == [host["name"] for host in told["hosts"]]
    assert told["complete"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["status", "--name", "never-up"], "no lab never-up is up"),
        (["reset", "web1", "--name", "never-up"], "no lab never-up is up"),
        (["up", "--hosts", "6"], "--inventory"),
        (["up", "--name", "another"], "--inventory"),
        (["up", "--name", "../etc"], "is no lab name"),
        (["up", "--hosts", "0"], "1 to 200"),
        (["up", "--profile", "unheard"], "hermetic or debian-security"),
    ],
)
def test_wrong_use_ends_with_2_and_says_what_to_do(words: list[str], said: str) -> None:
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "next: " in result.stderr


def test_without_root_the_lab_says_what_to_do_instead(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    result = CliRunner().invoke(app, ["up", "--name", "unprivileged", "--inventory", str(tmp_path)])
    assert result.exit_code == 2
    assert "run it with sudo" in result.stderr


def test_packages_are_the_same_bytes_every_time(tmp_path: Path) -> None:
    digests = []
    for place in (tmp_path / "one", tmp_path / "two"):
        file = packages.build_package(packages.RECIPES["lab-good"], packages.NEW, place)
        digests.append(hashlib.sha256(file.read_bytes()).hexdigest())
        time.sleep(1.1)
    assert digests[0] == digests[1]


def test_committed_inventory_is_what_the_lab_would_write() -> None:
    default = Lab("lab", 0, 5, HERMETIC, COMMITTED)
    assert yaml.safe_load(hosts_file(default)) == yaml.safe_load((COMMITTED / "hosts.yml").read_text())
