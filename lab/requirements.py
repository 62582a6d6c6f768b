"""What the lab needs of the machine, and how it gets it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from lab.command import SYSTEM_PATH, run
from lab.errors import ImpossibleHereError, LabError

OWN_HOSTS = (
    "leave the lab out and use hosts of your own, which needs no root here:\n"
    "      .venv/bin/rawat run sops/surakarta-system-update.yml -i inventory/<yours>\n"
    "      (an inventory folder like inventory/lab: hosts.yml and officials.yml)"
)
# A program of each Debian package that the lab uses on the controller.
PROGRAMS = {
    "apt-utils": "apt-ftparchive",
    "gnupg": "gpg",
    "iproute2": "ip",
    "mmdebstrap": "mmdebstrap",
    "nftables": "nft",
    "openssh-client": "ssh-keygen",
    "rclone": "rclone",
    "systemd-container": "systemd-nspawn",
    "xz-utils": "xz",
}
# Linux counts them for root over all hosts, and gives 128 as it comes: a host's systemd takes five.
INOTIFY_LIMIT = Path("/proc/sys/fs/inotify/max_user_instances")
INOTIFY_OF_A_HOST = 8
INOTIFY_OF_THE_MACHINE = 64


def missing_packages() -> list[str]:
    """Return the Debian packages that are still to be installed."""
    return [name for name, program in PROGRAMS.items() if not shutil.which(program, path=SYSTEM_PATH)]


def require_machine(say: Callable[[str], None]) -> None:
    """Make sure that this machine can run a lab, installing the tools it lacks.

    Raises ImpossibleHereError when it cannot, and says what to do instead.
    """
    require_root()
    if not Path("/proc/self/ns/net").exists() or not Path("/sys/fs/cgroup").is_dir():
        raise ImpossibleHereError(
            "this kernel has no namespaces or control groups",
            f"run the lab on a Linux machine, or {OWN_HOSTS}",
        )
    missing = missing_packages()
    if not missing:
        return
    if not shutil.which("apt-get", path=SYSTEM_PATH):
        raise ImpossibleHereError(
            "the lab's tools are missing and this is no Debian or Ubuntu",
            f"install what provides: {', '.join(PROGRAMS[name] for name in missing)}",
        )
    say(f"installing the lab's tools: {' '.join(missing)}")
    try:
        install(missing)
    except LabError as error:
        raise ImpossibleHereError(
            f"the lab's tools could not be installed: {error.problem}",
            f"install them yourself: apt-get install {' '.join(missing)}",
        ) from error


def make_room(count: int, say: Callable[[str], None], limit: Path = INOTIFY_LIMIT) -> None:
    """Raise the kernel's limit that so many hosts would reach; it stays so until the machine starts anew.

    Raises ImpossibleHereError when the machine does not let us.
    """
    needed = INOTIFY_OF_THE_MACHINE + count * INOTIFY_OF_A_HOST
    if int(limit.read_text(encoding="ascii")) >= needed:
        return
    say(f"raising fs.inotify.max_user_instances to {needed}, for {count} hosts")
    try:
        limit.write_text(f"{needed}\n", encoding="ascii")
    except OSError as error:
        raise ImpossibleHereError(
            f"{count} hosts need fs.inotify.max_user_instances={needed}, which cannot be set here: {error}",
            "take fewer hosts, or set it with sysctl where this machine's kernel is looked after",
        ) from error


def require_root() -> None:
    """Raises ImpossibleHereError unless this process is root."""
    if os.geteuid() != 0:
        raise ImpossibleHereError(
            "the lab needs root: it makes containers, a bridge and mounts",
            f"run it with sudo, or {OWN_HOSTS}",
        )


def install(packages: list[str]) -> None:
    """Install Debian packages on the controller."""
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "-qq", "update"], extra_env=quiet, timeout=300)
    argv = ["apt-get", "-qq", "install", "--no-install-recommends", *packages]
    run(argv, extra_env=quiet, timeout=900)
