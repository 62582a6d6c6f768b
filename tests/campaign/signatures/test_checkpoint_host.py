"""Checkpoints to a real sftp server that fails in every way an office knows: `make campaign-signatures`."""

from __future__ import annotations

import json
import os
import pwd
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from signing_field import LAB
from unattended import RAWAT, ROOT, Unattended

from lab import driver, faults
from lab.layout import HostPlan, Lab

pytestmark = [pytest.mark.campaign, pytest.mark.lab, pytest.mark.timeout(900)]

# Its second row is a gate, and nothing is done before it.
SOP = str(ROOT / "sops" / "contoh-uji-pulih-cadangan.yml")
FOLDER = "/srv/titik periksa"
# What serves sftp, and the script that sshd starts for it, into which faults are put.
SERVER, PROGRAM = "/usr/lib/openssh/sftp-server", "/usr/local/sbin/sftp-here"


@dataclass
class Sending(Unattended):
    """The command line of whoever runs Rawat on a machine of his own: his home knows the host."""

    hosts: Path = Path()
    home: Path = Path()

    @property
    def inventory(self) -> Path:
        return self.hosts

    @property
    def lab(self) -> Lab:
        return driver.load(LAB)

    @property
    def place(self) -> HostPlan:
        return self.lab.host("db1")

    @property
    def address(self) -> str:
        return self.lab.address(self.place)

    def told(self, *arguments: str) -> tuple[int, str]:
        """Return exit code and words of a command whose ~/.ssh is this office's own."""
        script = 'mount --bind "$0" "$1"; shift; exec "$@"'
        ssh = Path(pwd.getpwuid(os.getuid()).pw_dir, ".ssh")
        ssh.mkdir(mode=0o700, exist_ok=True)
        done = subprocess.run(
            ["unshare", "-m", "sh", "-ec", script, str(self.home), str(ssh), RAWAT, *arguments],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=self.environment | {"RAWAT_ARCHIVE_SETTINGS": str(self.folder / "archive.yml")},
            cwd=ROOT,
            timeout=180,
        )
        return done.returncode, " ".join((done.stdout + done.stderr).split())

    def on_place(self, command: str) -> str:
        known = f"UserKnownHostsFile={self.hosts}/known_hosts"
        key = str(self.hosts / "keys" / "ssh_lab")
        argv = ["ssh", "-F", "none", "-i", key, "-o", known, "-o", "StrictHostKeyChecking=yes"]
        done = subprocess.run(
            [*argv, f"root@{self.address}", command],
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def kept(self) -> list[str]:
        """Return the names of what the place keeps."""
        return sorted(line.strip() for line in self.on_place(f"ls '{FOLDER}'").splitlines() if "." in line)

    def know(self, *lines: str) -> None:
        (self.home / "known_hosts").write_text("".join(f"{line}\n" for line in lines), encoding="ascii")

    def serve(self, script: str = f"exec {SERVER}") -> None:
        """Let this be started for sftp from now on."""
        self.on_place(f"printf '#!/bin/sh\n{script}\n' > {PROGRAM}")

    def wait_for_sshd(self) -> None:
        """Wait until the host's sshd, which was told to read its settings, listens again."""
        for _ in range(60):
            try:
                self.on_place("true")
            except AssertionError:
                time.sleep(0.5)
            else:
                return
        raise TimeoutError(self.address)


@pytest.fixture(scope="module", name="office")
def _office(tmp_path_factory: pytest.TempPathFactory, lab_inventory: Path) -> Iterator[Sending]:
    """Give an office whose run waits at its first gate, and whose checkpoints go to a host of the lab."""
    folder = tmp_path_factory.mktemp("sending")
    home = folder / "ssh"
    home.mkdir(mode=0o700)
    office = Sending(folder, lab_inventory, home)
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(home / "id_ed25519")], check=True
    )
    public = (home / "id_ed25519.pub").read_text(encoding="ascii").strip()
    office.on_place(f"useradd -m titik && install -d -o titik '{FOLDER}' /home/titik/.ssh")
    office.on_place(f"echo {public} > /home/titik/.ssh/authorized_keys")
    settings = f"checkpoints:\n  - {{host: titik@{office.address}, folder: {FOLDER}}}\n"
    (folder / "archive.yml").write_text(settings, encoding="utf-8")
    office.serve()
    office.on_place(
        f"chmod 755 {PROGRAM}; sed -i 's#^Subsystem.*#Subsystem sftp {PROGRAM}#' /etc/ssh/sshd_config"
    )
    office.on_place("systemctl reload ssh")
    office.wait_for_sshd()
    yield office
    faults.mend(office.lab, office.place)


@pytest.fixture(name="key")
def _key(office: Sending) -> str:
    """Return the line by which the host is known."""
    return f"{office.address} {office.on_place('cat /etc/ssh/ssh_host_ed25519_key.pub').splitlines()[-1]}"


def test_no_checkpoint_leaves_for_a_host_that_is_not_known(office: Sending, key: str) -> None:
    """The first gate of the run: the gate is open, the run has stopped, and nothing was taken for granted."""
    office.know()
    code, told = office.told("run", SOP, "-i", str(office.hosts))
    assert (code, "the checkpoint did not get to" in told, "Host key verification failed" in told) == (
        6,
        True,
        True,
    )
    assert office.journal()[-1]["event"] == "gate_opened"
    stranger = (office.home / "id_ed25519.pub").read_text(encoding="ascii").split()[1]
    office.know(f"{office.address} ssh-ed25519 {stranger}")
    code, told = office.told("resume")
    assert (code, "Host key verification failed" in told, "rawat resume" in told) == (6, True, True)
    assert office.kept() == []
    office.know(key)


FAULTS: dict[str, tuple[Callable[[Sending], object], Callable[[Sending], object], str]] = {
    "refused": (
        lambda o: faults.refuse_ssh(o.lab, o.place),
        lambda o: faults.mend(o.lab, o.place),
        "Connection refused",
    ),
    "silent": (
        lambda o: faults.drop_packets(o.lab, o.place, faults.ALL),
        lambda o: faults.mend(o.lab, o.place),
        "timed out",
    ),
    "denied": (
        lambda o: o.on_place(f"chown root '{FOLDER}'"),
        lambda o: o.on_place(f"chown titik '{FOLDER}'"),
        "Permission denied",
    ),
    "missing": (
        lambda o: o.on_place(f"mv '{FOLDER}' /srv/away"),
        lambda o: o.on_place(f"mv /srv/away '{FOLDER}'"),
        "No such file",
    ),
    "full": (
        lambda o: o.on_place(
            f"mount -t tmpfs -o size=8k,uid=titik none '{FOLDER}' && "
            f"head -c 8k /dev/zero > '{FOLDER}/full' || true"
        ),
        lambda o: o.on_place(f"umount '{FOLDER}'"),
        "Failure",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_place_that_does_not_take_it_stops_the_run_at_its_gate(
    office: Sending, key: str, fault: str
) -> None:
    """Whatever is wrong there: exit code 6, why and what to do; mended, the run waits at its gate."""
    office.know(key)
    office.on_place(f"rm -f '{FOLDER}'/*")
    harm, mend, said = FAULTS[fault]
    harm(office)
    try:
        code, told = office.told("resume")
    finally:
        mend(office)
    assert (code, said in told, f"titik@{office.address}:{FOLDER}" in told) == (6, True, True), told
    assert "mount it or reach it again, then 'rawat resume'" in told
    assert [name for name in office.kept() if name.endswith((".checkpoint", ".signers"))] == []
    awaited = json.loads(office.told("status", "--json")[1])
    assert awaited["state"] == "waiting"
    code, told = office.told("resume")
    assert code == 3, told
    assert len([name for name in office.kept() if name.endswith(".checkpoint")]) == 1
    assert "arsip.signers" in office.kept()


@pytest.mark.parametrize("count", [0, 40, 200, 700])
def test_a_connection_cut_amid_leaves_no_half_checkpoint(office: Sending, key: str, count: int) -> None:
    office.know(key)
    office.on_place(f"rm -f '{FOLDER}'/*")
    office.serve(f"dd bs=1 count={count} status=none | {SERVER}")
    try:
        code, told = office.told("resume")
    finally:
        office.serve()
    assert (code, "the checkpoint did not get to" in told) == (6, True), told
    whole = office.told("resume")
    assert whole[0] == 3, whole[1]
    code, told = verified(office)
    assert (code, "held against" in told) == (0, True), told


def test_a_server_that_hangs_is_given_up(office: Sending, key: str) -> None:
    office.know(key)
    office.serve("exec sleep 600")
    try:
        code, told = office.told("resume")
    finally:
        office.serve()
    assert (code, "nothing was heard of it for 60 seconds" in told) == (6, True), told
    assert office.told("resume")[0] == 3


def test_a_place_that_only_takes_new_files_is_enough(office: Sending, key: str) -> None:
    """Nobody who runs Rawat can take back what left: the server removes nothing."""
    office.know(key)
    office.on_place(f"rm -f '{FOLDER}'/*")
    office.serve(f"exec {SERVER} -P remove,rmdir,setstat")
    try:
        assert office.told("resume")[0] == 3
        kept = office.kept()
        assert office.told("resume")[0] == 3
    finally:
        office.serve()
    assert set(kept) < set(office.kept())
    assert verified(office)[0] == 0


def test_keys_that_were_exchanged_there_are_told_and_not_written_over(office: Sending, key: str) -> None:
    office.know(key)
    assert office.told("resume")[0] == 3
    office.on_place(f"echo x > '{FOLDER}/arsip.signers'")
    code, told = office.told("resume")
    assert (code, "it holds another arsip.signers than this archive's" in told) == (6, True), told
    assert office.on_place(f"cat '{FOLDER}/arsip.signers'").splitlines()[-1] == "x"


def verified(office: Sending) -> tuple[int, str]:
    """Hold the run against what the place keeps."""
    (run,) = office.runs.glob("2*")
    place = office.lab.root(office.place) / FOLDER.lstrip("/")
    return office.told("verify", str(run), "--checkpoint", str(place))
