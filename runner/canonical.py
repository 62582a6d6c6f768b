"""One way to write JSON, so that equal data has equal bytes and equal digests."""

from __future__ import annotations

import hashlib
import json
from typing import Any

_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
_DECODER = json.JSONDecoder()


def canonical_json(data: Any) -> bytes:  # noqa: ANN401 - any JSON data
    """Return ``data`` as UTF-8 JSON with sorted keys, no spaces, no NaN and a final newline."""
    return _ENCODER.encode(data).encode() + b"\n"


def parse_canonical(data: bytes) -> Any:  # noqa: ANN401 - any JSON data
    """Return what ``canonical_json`` wrote.

    Raises:
        ValueError: when the bytes are anything but that one form, so that nobody reads them differently.
    """
    try:
        parsed = _DECODER.decode(data.decode())
        canonical = canonical_json(parsed)
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    if canonical != data:
        raise ValueError("not canonical JSON")
    return parsed


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of ``data`` in lower-case hex."""
    return hashlib.sha256(data).hexdigest()


def digest_of(data: Any) -> str:  # noqa: ANN401 - any JSON data
    """Return the SHA-256 of the canonical JSON of ``data``."""
    return sha256_hex(canonical_json(data))


def short_code(data: Any) -> str:  # noqa: ANN401 - any JSON data
    """Return eight digits of the digest of ``data``, such as ``3f2a-91bc``, for a person to read and type."""
    digest = digest_of(data)
    return f"{digest[:4]}-{digest[4:8]}"
