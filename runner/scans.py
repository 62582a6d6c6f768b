"""Reads a scan, of a paper signed in wet ink or attached to a form: a PDF, JPEG or PNG of limited size."""

from __future__ import annotations

from pathlib import Path

from runner import errors

MAX_BYTES = 20_000_000
_KINDS = {b"%PDF-": ".pdf", b"\xff\xd8\xff": ".jpg", b"\x89PNG\r\n\x1a\n": ".png"}


def read_scan(path: Path, what: str = "scan") -> tuple[bytes, str]:
    """Return the bytes of a scan and the extension of its kind, told by its first bytes, not by its name.

    Raises:
        InputError: when it is no PDF, JPEG or PNG, is too large, or cannot be read.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise errors.InputError(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise errors.InputError(
            f"{path}: is larger than {MAX_BYTES // 1_000_000} MB", hint="scan it in grey at 150 dpi"
        )
    for magic, extension in _KINDS.items():
        if data.startswith(magic):
            return data, extension
    raise errors.InputError(f"{path}: is no {what}", hint="expected a PDF, JPEG or PNG")
