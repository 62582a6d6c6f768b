"""Asks Ansible which hosts and groups an inventory holds; Rawat reads no inventory format itself."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from runner import errors
from runner.display import display
from runner.tree import name_problem
from runner.waves import in_natural_order

_SECONDS = 120
# A file is named after the host, with a few characters more while it is written.
_MAX_NAME = 200


@dataclass(frozen=True)
class Inventory:
    """The hosts of a run, the groups they are in, and which of them run Rawat itself."""

    path: Path
    hosts: tuple[str, ...]
    groups: dict[str, list[str]]
    controllers: tuple[str, ...] = ()


def read_inventory(path: Path, limit: str | None = None) -> Inventory:
    """Return the hosts that ``limit`` (Ansible's pattern) leaves of the inventory at ``path``.

    Raises:
        InputError: when the inventory cannot be read or leaves no host.
    """
    if not path.exists():
        raise errors.InputError(
            f"there is no inventory at {path}", hint="give a folder such as inventory/lab"
        )
    command = [str(Path(sys.executable).with_name("ansible-inventory")), "-i", str(path), "--list"]
    done = subprocess.run(
        command + (["--limit", limit] if limit else []),
        check=False,
        capture_output=True,
        text=True,
        timeout=_SECONDS,
    )
    if done.returncode != 0:
        reason = " ".join(done.stderr.split())[:500]
        raise errors.InputError(f"{path}: Ansible cannot read this inventory: {reason}")
    data = json.loads(done.stdout)
    groups = {
        name: list(in_natural_order(_hosts_below(data, name, set()))) for name in data if name != "_meta"
    }
    hosts = in_natural_order(groups.get("all", []))
    if not hosts:
        named = f" with --limit {limit}" if limit else ""
        raise errors.InputError(f"{path}{named} holds no host")
    _require_file_names(hosts, path)
    return Inventory(path, hosts, {n: h for n, h in groups.items() if n not in {"all", "ungrouped"} and h})


def _require_file_names(hosts: Iterable[str], inventory: Path) -> None:
    """Refuse hosts whose evidence could not be a file of the record: such a run could not be sealed."""
    folded: dict[str, str] = {}
    for host in hosts:
        problem = (
            "has a name that begins with a dot" if host.startswith(".") else name_problem(f"{host}.json")
        )
        if len(host.encode()) > _MAX_NAME:
            problem = "has a name that is too long"
        other = folded.setdefault(host.casefold(), host)
        if other != host:
            problem = f"differs from {other} only in upper and lower case"
        if problem:
            raise errors.InputError(
                f"{inventory}: the host {display(host)!r} {problem}",
                hint="name it differently, with ansible_host",
            )


def _hosts_below(data: dict[str, dict[str, list[str]]], name: str, seen: set[str]) -> set[str]:
    if name in seen:
        return set()
    seen.add(name)
    group = data.get(name, {})
    found = set(group.get("hosts", []))
    for child in group.get("children", []):
        found |= _hosts_below(data, child, seen)
    return found
