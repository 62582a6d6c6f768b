"""What rpm has on record of a host: every installed package with its versions, asked of its command.

The command and not rpm's Python interface: it answers under whichever Python Ansible found on the host.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from ansible.module_utils.debian_packages import lock_holder, run_command

FORM = "%{NAME}\\t%{ARCH}\\t%{EPOCHNUM}\\t%{VERSION}-%{RELEASE}\\t%{INSTALLTIME}\\n"
_FAMILY = {"rhel", "fedora", "centos"}
_NO_PACKAGE = "gpg-pubkey"


class Installed(NamedTuple):
    """One installed package; ``evr`` is `[epoch:]version-release`, ``at`` seconds since 1970."""

    name: str
    arch: str
    evr: str
    at: int


Installation = dict[str, list[Installed]]
"""Package as a plan names it -> what is installed of it: one version, several of a kernel or of a mess."""


def os_release() -> dict[str, str]:
    """Return the fields of the host's os-release."""
    lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    return {key: value.strip("\"'") for key, _, value in (line.partition("=") for line in lines)}


def is_redhat(release: dict[str, str]) -> bool:
    """Whether an os-release is that of Red Hat Enterprise Linux or a system like it."""
    return bool(_FAMILY & {release.get("ID", ""), *release.get("ID_LIKE", "").split()})


def read() -> Installation:
    """Return what is installed.

    Raises:
        OSError: when rpm does not answer: nothing is known then, least of all that nothing is installed.
    """
    listed = run_command(["rpm", "--query", "--all", f"--queryformat={FORM}"])
    if listed.rc != 0:
        raise OSError(f"rpm does not tell what is installed: {' '.join(listed.output.split())[-300:]}")
    return parse(listed.output, own_architecture())


def own_architecture() -> str:
    """Return the architecture whose packages a plan names without it."""
    return str(run_command(["rpm", "--eval", "%{_arch}"]).output.strip())


def parse(listed: str, own_architecture: str) -> Installation:
    """Read the table of `read`; a package of another architecture is named `package.architecture`."""
    found: Installation = {}
    for line in listed.splitlines():
        name, arch, epoch, version, at = line.split("\t")
        if name == _NO_PACKAGE:
            continue
        shown = name if arch in {own_architecture, "noarch"} else f"{name}.{arch}"
        evr = version if epoch == "0" else f"{epoch}:{version}"
        # A package file has no time of installation.
        found.setdefault(shown, []).append(Installed(name, arch, evr, int(at) if at.isdigit() else 0))
    return found


def versions(installation: Installation, package: str) -> set[str]:
    """Return the versions of a package that are installed."""
    return {installed.evr for installed in installation.get(package, [])}


def changes_between(before: Installation, after: Installation) -> list[dict[str, str]]:
    """Return every package whose versions differ, named or not in a plan."""
    changes = []
    for package in sorted(before.keys() | after.keys()):
        old, new = versions(before, package), versions(after, package)
        if old != new:
            told = {"from": ", ".join(sorted(old - new or old)), "to": ", ".join(sorted(new - old or new))}
            changes.append({"package": package, **told})
    return changes


def wait_for_lock(timeout: float) -> str:
    """Wait until nobody holds rpm's own lock (rpm waits for ever); return who holds it still."""
    folder = run_command(["rpm", "--eval", "%{_dbpath}"]).output.strip()
    deadline = time.monotonic() + timeout
    while (holder := lock_holder(f"{folder}/.rpm.lock")) and time.monotonic() < deadline:
        time.sleep(1)
    return str(holder)


def failed_units(packages: list[str]) -> list[str]:
    """Return the failed systemd services that packages ship, named as rpm names them."""
    if not packages:
        return []
    listed = run_command(["rpm", "--query", "--list", *packages]).output.split()
    shipped = {Path(path).name for path in listed if "/systemd/system/" in path and path.endswith(".service")}
    states = ["--state=failed", "--plain", "--no-legend", "--no-pager"]
    shown = run_command(["systemctl", "list-units", "--type=service", *states]).output
    return sorted(shipped & {line.split()[0] for line in shown.splitlines() if line.strip()})
