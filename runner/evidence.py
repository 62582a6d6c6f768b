"""Evidence: what an action came to on each host, as JSON files with digests.

What stands in evidence came from a host, so it is text of strangers: sizes are capped here, and whoever
shows it escapes it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from runner.canonical import canonical_json, sha256_hex
from runner.executors.base import HostResult
from runner.files import write_once
from runner.moves import Part
from runner.workspace import RunFolder

MAX_TEXT = 20_000
MAX_ITEMS = 20_000
MAX_DEPTH = 12


def write(
    folder: RunFolder, step: int, attempt: int, part: Part, results: Iterable[HostResult]
) -> list[dict[str, str]]:
    """Write one file per host and return their journal entries (path, sha256)."""
    entries = []
    for result in results:
        data = canonical_json(
            {
                "host": result.host,
                "status": result.status,
                "step": step,
                "attempt": attempt,
                "part": part.name,
                "kind": part.kind,
                "results": capped(result.results),
                "failure": capped(asdict(result.failure)) if result.failure else None,
            }
        )
        path = write_once(folder.evidence(step, attempt, part.name) / f"{result.host}.json", data)
        entries.append({"path": folder.relative(path), "sha256": sha256_hex(data)})
    return entries


def capped(value: Any, depth: int = 0) -> Any:  # noqa: ANN401 - any JSON
    """Return ``value`` cut to the limits, with a word where something was left out."""
    if depth > MAX_DEPTH:
        return "[cut: nested too deep]"
    if isinstance(value, dict):
        return {_text(key)[:200]: capped(item, depth + 1) for key, item in list(value.items())[:MAX_ITEMS]}
    if isinstance(value, list | tuple):
        return [capped(item, depth + 1) for item in value[:MAX_ITEMS]]
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    return _text(value)


def _text(value: object) -> str:
    clean = str(value).encode("utf-8", "replace").decode()
    return clean if len(clean) <= MAX_TEXT else clean[:MAX_TEXT] + " [cut]"


def read(folder: RunFolder, entries: Iterable[dict[str, str]]) -> list[dict[str, Any]]:
    """Return the evidence of journal entries; files that are not evidence are left out."""
    named = [entry["path"] for entry in entries if entry["path"].startswith("evidence/")]
    return [json.loads((folder.path / path).read_bytes()) for path in named]
