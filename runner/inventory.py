"""Asks Ansible which hosts and groups an inventory holds; Rawat reads no inventory format itself."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner import errors, source
from runner.addresses import address_problem
from runner.ansible_settings import ansible_environment
from runner.canonical import digest_of
from runner.display import display
from runner.endpoints import addresses_of
from runner.files import require_trusted
from runner.kinds import computers, kinds_of
from runner.own_machine import controllers_of
from runner.source import Problem, SourceError
from runner.tree import name_problem
from runner.waves import in_natural_order
from runner.workspace import find_workspace

_SECONDS = 120
# A file is named after the host, with a few characters more while it is written.
_MAX_NAME = 200
# Hosts are named again in Ansible's patterns and in the tests' ids, where other characters mean something.
_NAME = re.compile(r"[^\W_][\w.:@+-]*")
_SECRET = re.compile(r"(pass|password|passphrase|passwd|secret|token|community)$")
# Rawat checks host keys through OpenSSH; other ways to a host have rules of their own, or none.
_CONNECTIONS = ("ssh", "local")


@dataclass(frozen=True)
class Inventory:
    """The hosts of a run, the groups they are in, and which of them run Rawat itself."""

    path: Path
    hosts: tuple[str, ...]
    groups: dict[str, list[str]]
    controllers: tuple[str, ...] = ()
    addresses: dict[str, str] = field(default_factory=dict)
    """Host -> ``address:port``, for the hosts that the inventory gives an address."""


def require_inventory(path: Path) -> None:
    """Refuse an inventory that is not there, before one of the files beside it is missed.

    Raises:
        InputError: naming it, or a file of it that everybody may write.
    """
    if not path.exists():
        raise errors.InputError(
            f"there is no inventory at {path}", hint="give a folder such as inventory/lab"
        )
    # What it says decides where Ansible works, as whom, and what it looks up on this machine.
    for file in (path, *(path.rglob("*") if path.is_dir() else ())):
        if not file.is_symlink():
            require_trusted(file)


def read_inventory(path: Path, limit: str | None = None) -> Inventory:
    """Return the hosts that ``limit`` (Ansible's pattern) leaves of the inventory at ``path``.

    Raises:
        InputError: when the inventory cannot be read, leaves no host, or says of a host what is not safe.
    """
    require_inventory(path)
    if limit is not None and not limit.strip():
        raise errors.InputError("--limit is empty", hint="name hosts or groups, or leave it out for all")
    data = _listed(path, limit)
    groups = {
        name: list(in_natural_order(_hosts_below(data, name, set()))) for name in data if name != "_meta"
    }
    hosts = in_natural_order(groups.get("all", []))
    if not hosts:
        named = f" with --limit {limit}" if limit else ""
        raise errors.InputError(f"{path}{named} holds no host")
    _require_file_names(hosts, path)
    _require_safe_connections(data, hosts, path)
    _require_one_kind(groups, hosts, path)
    kept = {n: h for n, h in groups.items() if n not in {"all", "ungrouped"} and h}
    variables = data.get("_meta", {}).get("hostvars", {})
    own = controllers_of(computers(hosts, groups), variables)
    return Inventory(path, hosts, kept, own, addresses_of(hosts, variables))


def variables_digests(path: Path, hosts: Iterable[str]) -> dict[str, str]:
    """Return for each host a SHA-256 over what the inventory says of it: its variables and its groups.

    Passwords are left out: they may be changed at any time, and a digest must not help to guess one. A host
    that the inventory does not know any more has no entry.

    Raises:
        InputError: when the inventory cannot be read.
    """
    data = _listed(path, None)
    members = {name: _hosts_below(data, name, set()) for name in data if name not in {"_meta", "all"}}
    known = _hosts_below(data, "all", set())
    said = data.get("_meta", {}).get("hostvars", {})
    return {
        host: digest_of(
            {
                "variables": {n: v for n, v in said.get(host, {}).items() if not _SECRET.search(n)},
                "groups": sorted(name for name, inside in members.items() if host in inside),
            }
        )
        for host in hosts
        if host in known
    }


def _listed(path: Path, limit: str | None) -> dict[str, Any]:
    """Return what Ansible lists, with the settings of this checkout and nothing of the current folder's."""
    root = find_workspace().root
    command = [str(Path(sys.executable).with_name("ansible-inventory")), f"--inventory={path}", "--list"]
    with tempfile.TemporaryDirectory(prefix="rawat-") as scratch:
        done = subprocess.run(
            command + ([f"--limit={limit}"] if limit else []),
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            env=ansible_environment(root, Path(scratch), Path(scratch)),
        )
    if done.returncode != 0 or _ignored(done.stderr):
        _require_yaml(path)
    if done.returncode != 0:
        reason = display(" ".join(done.stderr.split()), longest=500)
        raise errors.InputError(f"{path}: Ansible cannot read this inventory: {reason}")
    ignored = _ignored(done.stderr)
    if ignored:
        raise errors.InputError(
            f"{path}: Ansible would leave out a part: {display(ignored, longest=500)}",
            hint="mend the inventory, or name hosts and groups that it has",
        )
    listed: dict[str, Any] = json.loads(done.stdout)
    return listed


def _require_yaml(inventory: Path) -> None:
    """Name file and line of what is no YAML in an inventory that Ansible refused: it names only the mistake.

    Raises:
        SourceError: naming each such file.
    """
    folder = inventory if inventory.is_dir() else inventory.parent
    files = [inventory, *folder.glob("*"), *folder.glob("*_vars/**/*")]
    for file in sorted({file for file in files if file.is_file() and file.suffix in {".yml", ".yaml"}}):
        try:
            problem = source.syntax_problem(file.read_text(encoding="utf-8"))
        except UnicodeDecodeError:
            problem = Problem(1, "is not UTF-8 text")
        except OSError as error:
            problem = Problem(1, f"cannot be read: {error.strerror}")
        if problem:
            raise SourceError(str(file), [problem])


def _ignored(said: str) -> str:
    """Return Ansible's first warning that a part of the inventory, or of ``--limit``, counts for nothing."""
    warnings = re.findall(r"^\[WARNING\]: ((?:.|\n(?!\[))*)", said, re.MULTILINE)
    wrong = (w for w in warnings if w.startswith(("Skipping ", "Could not match supplied host pattern")))
    return " ".join(next(wrong, "").split())


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
        if not problem and not _NAME.fullmatch(host):
            problem = "has a name with other characters than letters, digits and . _ - : @ +"
        if problem:
            raise errors.InputError(
                f"{inventory}: the host {display(host)!r} {problem}",
                hint="name it differently, with ansible_host",
            )


def _require_safe_connections(data: dict[str, Any], hosts: Iterable[str], inventory: Path) -> None:
    """Refuse addresses that are options of ssh, and ways to a host that check no host keys.

    What a template makes of such a word is looked at when the connection is made (connection_plugins/ssh.py).
    """
    for host in hosts:
        said = data["_meta"]["hostvars"].get(host, {})
        words = (said.get("ansible_host"), said.get("ansible_user"))
        problem = address_problem(*(None if "{{" in str(word) else word for word in words))
        way = said.get("ansible_connection", "ssh")
        if way not in _CONNECTIONS:
            problem = f"its ansible_connection {str(way)[:100]!a} is not one of {', '.join(_CONNECTIONS)}"
        if problem:
            raise errors.InputError(
                f"{inventory}: the host {display(host)!r}: {problem}", hint="mend it in the inventory"
            )


def _require_one_kind(groups: dict[str, list[str]], hosts: Iterable[str], inventory: Path) -> None:
    """Refuse a host that is said to be two services: it is checked as one."""
    for host in hosts:
        kinds = kinds_of(host, groups)
        if len(kinds) > 1:
            raise errors.InputError(
                f"{inventory}: the host {display(host)!r} is said to be a {' and a '.join(kinds)}",
                hint="name each service as a host of its own, with the same ansible_host",
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
