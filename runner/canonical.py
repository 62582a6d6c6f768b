"""One way to write JSON, so that equal data has equal bytes and equal digests."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def canonical_json(data: Any) -> bytes:  # noqa: ANN401 - any JSON data
    """Return ``data`` as UTF-8 JSON with sorted keys, no spaces, no NaN and a final newline."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode() + b"\n"


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of ``data`` in lower-case hex."""
    return hashlib.sha256(data).hexdigest()


def digest_of(data: Any) -> str:  # noqa: ANN401 - any JSON data
    """Return the SHA-256 of the canonical JSON of ``data``."""
    return sha256_hex(canonical_json(data))
