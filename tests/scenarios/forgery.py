"""Changes records the way somebody would who knows the format: every hash is made to fit again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runner.bag import TAG_FILES
from runner.canonical import canonical_json

Record = dict[str, Any]


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def read_journal(run: Path) -> list[Record]:
    return [json.loads(line) for line in (run / "journal.jsonl").read_bytes().splitlines()]


def chained(records: list[Record]) -> bytes:
    """Return the records as a journal, their numbers and chain made to fit."""
    prev, lines = "0" * 64, []
    for seq, record in enumerate(records, start=1):
        lines.append(canonical_json({**record, "seq": seq, "prev": prev}))
        prev = sha256(lines[-1])
    return b"".join(lines)


def forge(run: Path, change: Callable[[list[Record]], None]) -> None:
    """Change a run's records, and make the digests of the files they name and the chain fit."""
    records = read_journal(run)
    change(records)
    for record in records:
        for entry in _files_of(record):
            if (run / entry["path"]).is_file():
                entry["sha256"] = sha256((run / entry["path"]).read_bytes())
    (run / "journal.jsonl").write_bytes(chained(records))


def _files_of(record: Record) -> list[Record]:
    named = [*record.get("evidence", []), *record.get("files", [])]
    kinds = ("statement", "signature", "scan", "differences", "roster", "signers")
    named += [record[key] for key in kinds if key in record]
    return [*named, record] if record["event"] in {"plan_made", "repairs_proposed"} else named


def find(records: list[Record], event: str, **fields: Any) -> Record:  # noqa: ANN401 - any JSON
    """Return the first record of this event and these fields."""
    wanted = {"event": event, **fields}
    return next(record for record in records if wanted.items() <= record.items())


def rebag(bagged: Path) -> None:
    """Write the manifests and the bag's description anew, so that the bag is whole in itself."""
    payload = sorted(path for path in (bagged / "data").rglob("*") if path.is_file())
    lines = (bagged / "data" / "journal.jsonl").read_bytes().splitlines(keepends=True)
    fresh = {
        "Payload-Oxum": f"{sum(path.stat().st_size for path in payload)}.{len(payload)}",
        "Journal-Records": str(len(lines)),
        "Journal-Head": sha256(lines[-1]),
        "SOP-SHA256": sha256((bagged / "data" / "sop.yml").read_bytes()),
    }
    info = dict(line.split(": ", 1) for line in (bagged / "bag-info.txt").read_text().splitlines())
    (bagged / "bag-info.txt").write_text("".join(f"{k}: {v}\n" for k, v in {**info, **fresh}.items()))
    _write_manifest(bagged, "manifest-sha256.txt", [str(path.relative_to(bagged)) for path in payload])
    _write_manifest(bagged, "tagmanifest-sha256.txt", list(TAG_FILES))


def _write_manifest(bagged: Path, name: str, paths: list[str]) -> None:
    lines = [f"{sha256((bagged / path).read_bytes())}  {path}\n" for path in sorted(paths)]
    (bagged / name).write_text("".join(lines))
