"""Asks Ansible which hosts and groups an inventory holds; Rawat reads no inventory format itself."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from runner import errors
from runner.state import in_natural_order

_SECONDS = 120


@dataclass(frozen=True)
class Inventory:
    """The hosts of a run and the groups they are in."""

    path: Path
    hosts: tuple[str, ...]
    groups: dict[str, list[str]]


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
    return Inventory(path, hosts, {n: h for n, h in groups.items() if n not in {"all", "ungrouped"} and h})


def _hosts_below(data: dict[str, dict[str, list[str]]], name: str, seen: set[str]) -> set[str]:
    if name in seen:
        return set()
    seen.add(name)
    group = data.get(name, {})
    found = set(group.get("hosts", []))
    for child in group.get("children", []):
        found |= _hosts_below(data, child, seen)
    return found
