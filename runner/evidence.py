"""Evidence: what an action came to on each host, as JSON files with digests.

What stands in evidence came from a host, so it is text of strangers: sizes are capped here, and whoever
shows it escapes it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Container, Iterable
from dataclasses import asdict, replace
from typing import Any

from pydantic import ValidationError

from runner.canonical import canonical_json
from runner.display import TRUNCATED
from runner.executors.base import Failure, HostResult, HostStatus
from runner.findings import Results
from runner.moves import Part
from runner.workspace import RunFolder

MAX_TEXT = 20_000
MAX_ITEMS = 20_000
MAX_DEPTH = 12
MAX_NUMBER = 2**63
MAX_BYTES = 8_000_000
"""Of all results of one action on one host, as canonical JSON."""


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
        entries.append(folder.write(folder.evidence(step, attempt, part.name) / f"{result.host}.json", data))
    return entries


def accepted(result: HostResult, *, changes: bool) -> HostResult:
    """Return what a host came to, without what documents could not show or a record should not hold.

    A host whose results are too large or have another form than its role gives them is not believed: it has
    failed, or, where it may have been changed, nobody knows. It must not stop the documents of the others.
    """
    results = capped(result.results)
    problem = _problem_with(results)
    if not problem:
        return replace(result, results=results)
    status: HostStatus = "unknown" if changes else "failed"
    why = result.failure or Failure("", problem)
    return replace(result, status=status if result.status == "ok" else result.status, results={}, failure=why)


def _problem_with(results: dict[str, Any]) -> str:
    if len(canonical_json(results)) > MAX_BYTES:
        return f"{TRUNCATED} its results are larger than {MAX_BYTES} bytes and were left out"
    try:
        Results.model_validate(results)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        return f"its results are not what its role publishes and were left out: {where}: {first['msg']}"
    return ""


def capped(value: Any, depth: int = 0) -> Any:  # noqa: ANN401 - any JSON
    """Return ``value`` cut to the limits, with a word where something was left out."""
    if depth > MAX_DEPTH:
        return "[cut: nested too deep]"
    if isinstance(value, dict):
        return {_text(key)[:200]: capped(item, depth + 1) for key, item in list(value.items())[:MAX_ITEMS]}
    if isinstance(value, list | tuple):
        return [capped(item, depth + 1) for item in value[:MAX_ITEMS]]
    return value if _is_plain(value) else _text(value)


def _is_plain(value: object) -> bool:
    if isinstance(value, int):
        return abs(value) <= MAX_NUMBER
    return value is None or (isinstance(value, float) and math.isfinite(value))


def _text(value: object) -> str:
    if isinstance(value, str) and len(value) <= MAX_TEXT and value.isascii():
        return value
    # Python writes out no number of more than some thousand digits.
    text = str(value) if not isinstance(value, int) else f"[number of {value.bit_length()} bits]"
    clean = text.encode("utf-8", "replace").decode()
    return clean if len(clean) <= MAX_TEXT else clean[:MAX_TEXT] + " [cut]"


def read(
    folder: RunFolder, entries: Iterable[dict[str, str]], hosts: Container[str] | None = None
) -> list[dict[str, Any]]:
    """Return the evidence of journal entries, of some hosts or all; other files are left out."""
    return [
        json.loads(folder.read(entry))
        for entry in entries
        if entry["path"].startswith("evidence/") and (hosts is None or _host(entry) in hosts)
    ]


def _host(entry: dict[str, str]) -> str:
    return entry["path"].rpartition("/")[2].removesuffix(".json")
