"""What is chosen at a gate for configuration files that were changed on hosts. Pure.

The plan says what is proposed for each file; who decides may choose otherwise, file by file. What he chose is
part of what he signs, and exactly that is done. Without a word a file is dealt with as the plan says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from runner.errors import InputError

Chosen = dict[str, dict[str, Literal["keep", "new"]]]
"""host -> path -> ``keep`` (as it is on the host) or ``new`` (the package's own)."""

_WORD = re.compile(r"([^:\s]+):(/[^\0]*)=(keep|new)")


def parse(words: Iterable[str]) -> Chosen:
    """Return what was chosen in words such as ``web1:/etc/a.conf=new``.

    Raises:
        InputError: when a word has another form, or a file stands twice.
    """
    chosen: Chosen = {}
    for word in words:
        found = _WORD.fullmatch(word)
        if found is None:
            raise InputError(f"--conffile {word!r}: expected HOST:/path=keep or HOST:/path=new")
        host, path, choice = found.groups()
        if path in chosen.get(host, {}):
            raise InputError(f"--conffile: {host}:{path} stands there twice; choose once")
        chosen.setdefault(host, {})[path] = "new" if choice == "new" else "keep"
    return chosen


def refusal(plan: Mapping[str, Any] | None, chosen: Mapping[str, Mapping[str, str]]) -> str | None:
    """Return why something was chosen that the plan knows nothing of, or None."""
    hosts = plan["hosts"] if plan else {}
    for host, files in chosen.items():
        known = {item["path"] for item in choosable(hosts.get(host) or {})}
        for path in files:
            if path not in known:
                return f"the plan has no changed configuration file {path} of {host}"
    return None


def choosable(entry: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the files of a host's plan entry for which something can be chosen.

    Where the package manager itself keeps what was changed (rpm), the plan proposes nothing.
    """
    return [item for item in entry.get("conffiles") or [] if "choice" in item]


def merged(each: Iterable[Mapping[str, Mapping[str, str]]]) -> dict[str, dict[str, str]]:
    """Return what several decisions on one plan choose together; the later word counts."""
    all_of_them: dict[str, dict[str, str]] = {}
    for chosen in each:
        for host, files in chosen.items():
            all_of_them.setdefault(host, {}).update(files)
    return all_of_them


def applied(plan: dict[str, Any], chosen: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """Return a plan with the choices in place of what it proposes."""
    hosts = {
        host: {**entry, "conffiles": _chosen(entry.get("conffiles"), chosen.get(host, {}))}
        for host, entry in plan["hosts"].items()
    }
    return {**plan, "hosts": hosts}


def _chosen(files: list[dict[str, Any]] | None, chosen: Mapping[str, str]) -> list[dict[str, Any]] | None:
    if not files:
        return files
    return [
        {**item, "choice": chosen.get(item["path"], item["choice"])} if "choice" in item else item
        for item in files
    ]


def lines(chosen: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return in words what was chosen, a line for each file."""
    words = {"new": "the package's new file", "keep": "stays as it is on the host"}
    return [
        f"{host}: {path}: {words[choice]}"
        for host, files in sorted(chosen.items())
        for path, choice in sorted(files.items())
    ]
