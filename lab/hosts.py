"""The hosts: containers with an init of their own, over read-only layers and a tmpfs for changes."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import time
from pathlib import Path

from lab import channel, processes
from lab.clamav import freshclam_settings
from lab.command import is_successful, run
from lab.errors import LabError
from lab.image import lower_folders
from lab.layout import DEBIAN_SECURITY, MIRROR_PORT, HostPlan, Lab
from lab.mirror import date_checks
from lab.processes import Unit
from lab.recipe import RELEASE

SECONDS_TO_BOOT = 60
# Below the home of the person who runs Ansible; short, because a socket's path may have 108 bytes only.
CONTROL_SOCKET = ".ssh/rawat-%C"


def unit(lab: Lab, plan: HostPlan) -> Unit:
    """Return the name under which a host's processes are found."""
    return Unit(lab.name, plan.name)


def make_identity(lab: Lab, plan: HostPlan) -> None:
    """Make what stays of a host over resets: its machine id and its ssh host key."""
    folder = lab.host_folder(plan)
    folder.mkdir(parents=True, mode=0o700)
    (folder / "machine-id").write_text(secrets.token_hex(16) + "\n", encoding="ascii")
    key = folder / "ssh_host_ed25519_key"
    run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", plan.name, "-f", key])


def host_key(lab: Lab, plan: HostPlan) -> str:
    """Return a host's line for known_hosts."""
    public = lab.host_folder(plan) / "ssh_host_ed25519_key.pub"
    kind, key = public.read_text(encoding="ascii").split()[:2]
    return f"{lab.address(plan)} {kind} {key}"


def mount_disk(lab: Lab, plan: HostPlan) -> None:
    """Give a host a fresh disk: its layers, nothing changed, and its own identity."""
    top = lab.disks / plan.name
    for name in ("upper", "work", "root"):
        (top / name).mkdir(parents=True)
    kept = [kept_folder(lab, plan)] if kept_folder(lab, plan).is_dir() else []
    lower = ":".join(str(folder) for folder in [*kept, *lower_folders(plan)])
    options = f"lowerdir={lower},upperdir={top / 'upper'},workdir={top / 'work'}"
    run(["mount", "-t", "overlay", f"rawat-{lab.name}", "-o", options, top / "root"])
    for path, text in own_files(lab, plan).items():
        file = lab.root(plan) / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        file.chmod(0o600 if path.endswith(("_key", "authorized_keys")) else 0o644)
    keyring = lab.root(plan) / "usr/share/keyrings/rawat-lab.gpg"
    shutil.copyfile(channel.keyring(lab), keyring)
    keyring.chmod(0o644)


def own_files(lab: Lab, plan: HostPlan) -> dict[str, str]:
    """Return the files that make a host itself."""
    folder = lab.host_folder(plan)
    key = "ssh_host_ed25519_key"
    files = {
        "etc/hostname": f"{plan.name}\n",
        "etc/hosts": f"127.0.0.1 localhost\n{lab.address(plan)} {plan.name}\n",
        "etc/machine-id": (folder / "machine-id").read_text(encoding="ascii"),
        f"etc/ssh/{key}": (folder / key).read_text(encoding="ascii"),
        f"etc/ssh/{key}.pub": (folder / f"{key}.pub").read_text(encoding="ascii"),
        "root/.ssh/authorized_keys": (lab.inventory / "keys/ssh_lab.pub").read_text("ascii"),
        "etc/apt/sources.list.d/lab.sources": channel.sources(lab),
        "etc/clamav/freshclam.conf": freshclam_settings(lab),
    }
    if lab.profile == DEBIAN_SECURITY:
        files["etc/apt/sources.list.d/debian.sources"] = debian_sources(lab)
        # A controller whose mirror is an older snapshot says so in its date checks.
        files["etc/apt/apt.conf.d/91rawat-lab"] = date_checks()
    return files


def debian_sources(lab: Lab) -> str:
    """Return the source of real Debian, which the hosts reach through the lab's mirror only."""
    suites = {"main": RELEASE, "security": f"{RELEASE}-security"}
    return "\n".join(
        "Types: deb\n"
        f"URIs: {lab.url(MIRROR_PORT)}/{path}/\n"
        f"Suites: {suite}\n"
        "Components: main\n"
        "Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg\n"
        for path, suite in suites.items()
    )


def boot(lab: Lab, plan: HostPlan) -> None:
    """Start a host that has a disk and does not run."""
    command = [
        "/usr/bin/env",
        # No lock files: who may run is decided by the lab's own control groups.
        "SYSTEMD_NSPAWN_LOCK=0",
        "systemd-nspawn",
        "--quiet",
        "--settings=no",
        "--register=no",
        "--keep-unit",
        "--link-journal=no",
        "--resolv-conf=off",
        "--timezone=off",
        "--console=pipe",
        f"--directory={lab.root(plan)}",
        f"--machine={lab.machine(plan)}",
        f"--network-namespace-path=/run/netns/{lab.machine(plan)}",
        "--boot",
    ]
    processes.start_unit(unit(lab, plan), command, lab.host_folder(plan))


def wait_for_ssh(lab: Lab, plan: HostPlan) -> None:
    """Wait until a host's sshd greets.

    Raises LabError when it does not within a minute.
    """
    deadline = time.monotonic() + SECONDS_TO_BOOT
    while not is_greeting(lab.address(plan)):
        if time.monotonic() > deadline:
            raise LabError(
                f"{plan.name} did not answer on ssh within {SECONDS_TO_BOOT} s: {last_words(lab, plan)}",
                "look at the machine's load and at `dmesg`, then bring the lab up again",
            )
        time.sleep(0.05)


def last_words(lab: Lab, plan: HostPlan) -> str:
    """Return the end of what a host's console and container said."""
    log = (lab.host_folder(plan) / "log").read_text(encoding="utf-8", errors="replace")
    return " | ".join(log.strip().splitlines()[-5:]) or "its console is silent"


def is_greeting(address: str, seconds: float = 1.0) -> bool:
    """Tell whether an ssh server answers at an address."""
    try:
        with socket.create_connection((address, 22), timeout=seconds) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def stop(lab: Lab, plan: HostPlan) -> None:
    """Shut a host down; its disk stays."""
    close_connections(lab, plan)
    processes.stop_unit(unit(lab, plan), grace=15)


def cut_power(lab: Lab, plan: HostPlan) -> None:
    """End a host at once; its disk stays."""
    processes.thaw(unit(lab, plan))
    # The supervisor first, or it could start the host again.
    processes.send(f"{unit(lab, plan).group}/{processes.SUPERVISOR}", signal.SIGKILL)
    processes.kill_group(unit(lab, plan).group)


def drop_disk(lab: Lab, plan: HostPlan) -> None:
    """Throw away everything a stopped host has written."""
    root = lab.root(plan)
    if is_mounted(root):
        run(["umount", root])
    shutil.rmtree(lab.disks / plan.name, ignore_errors=True)


def kept_folder(lab: Lab, plan: HostPlan) -> Path:
    """Return where it lies what a host had written when it was kept: beside the disks, on the same tmpfs."""
    return lab.disks / ".kept" / plan.name


def keep_disk(lab: Lab, plan: HostPlan) -> None:
    """Make what a stopped host has written a layer of its disk, so that a reset brings it back.

    Raises LabError when that was done before: what was kept then would be lost.
    """
    kept = kept_folder(lab, plan)
    if kept.exists():
        raise LabError(f"{plan.name} was kept already", "bring the lab up afresh to keep another state")
    run(["umount", lab.root(plan)])
    kept.parent.mkdir(exist_ok=True)
    (lab.disks / plan.name / "upper").rename(kept)


def is_mounted(place: Path) -> bool:
    """Tell whether something is mounted at a place."""
    return is_successful(["mountpoint", "--quiet", place])


def caller_home() -> Path:
    """Return the home of the person at the terminal, who may have become root by sudo."""
    return Path(f"~{os.environ.get('SUDO_USER', '')}").expanduser()


def close_connections(lab: Lab, plan: HostPlan) -> None:
    """End a shared ssh connection to a host; the next one would wait for a peer that is gone."""
    control = f"ControlPath={caller_home()}/{CONTROL_SOCKET}"
    is_successful(["ssh", "-O", "exit", "-o", control, f"root@{lab.address(plan)}"])
