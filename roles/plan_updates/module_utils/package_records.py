"""What dpkg or rpm has on record of a package: its files, whose a file is, configuration as shipped."""

from __future__ import annotations

from pathlib import Path

from ansible.module_utils import configuration_files, rpm_states
from ansible.module_utils.debian_packages import run_command


def is_rpm() -> bool:
    """Whether the host's packages are rpm's."""
    return bool(rpm_states.is_redhat(rpm_states.os_release()))


def files_of(package: str) -> set[str]:
    """Return the files of an installed package, none of one that is not installed."""
    command = ["rpm", "--query", "--list"] if is_rpm() else ["dpkg-query", "--listfiles"]
    listed = run_command([*command, package])
    return {line for line in listed.output.splitlines() if line.startswith("/")}


def owners_of(path: str) -> set[str]:
    """Return the packages that a file belongs to."""
    if is_rpm():
        told = run_command(["rpm", "--query", "--file", "--queryformat=%{NAME}.%{ARCH}\\n", path])
        return set(told.output.split()) if told.rc == 0 else set()
    told = run_command(["dpkg-query", "--search", path])
    return {name.strip() for name in told.output.partition(": /")[0].split(",")} if told.rc == 0 else set()


def shipped_configuration(packages: list[str]) -> set[str]:
    """Return the configuration files of packages that are as the packages brought them."""
    found: set[str] = set()
    for package in packages:
        found |= _shipped_by_rpm(package) if is_rpm() else _shipped_by_dpkg(package)
    return found


def _shipped_by_dpkg(package: str) -> set[str]:
    form = "${binary:Package}\\n${Conffiles}\\n"
    told = run_command(["dpkg-query", "--show", f"--showformat={form}", package])
    return {
        path
        for _, path, md5 in configuration_files.parse(told.output if not told.rc else "")
        if configuration_files.state_of(Path(path), md5) == "as shipped"
    }


def _shipped_by_rpm(package: str) -> set[str]:
    listed = run_command(["rpm", "--query", "--configfiles", package])
    if listed.rc != 0:
        return set()
    verified = run_command(["rpm", "--verify", "--nodeps", "--noscripts", package])
    return {line for line in listed.output.splitlines() if line.startswith("/")} - changed_by_rpm(
        verified.output
    )


def changed_by_rpm(verified: str) -> set[str]:
    """Read which files `rpm --verify` names: only those whose contents are other, or that are not there."""
    changed = set()
    for line in verified.splitlines():
        marks, _, rest = line.partition(" ")
        if marks == "missing" or "5" in marks:
            changed.add("/" + rest.partition("/")[2])
    return changed
