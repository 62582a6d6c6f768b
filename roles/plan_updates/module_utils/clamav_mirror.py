"""Which ClamAV signature database the mirror of a host offers."""

from __future__ import annotations

from collections.abc import Mapping

from ansible.module_utils.clamav_database import DATABASE, HEADER_BYTES, parse_header
from ansible.module_utils.urls import open_url


def mirror_addresses(settings: Mapping[str, list[str]]) -> list[str]:
    """Return the mirrors in the order freshclam tries them; a bare host name means https."""
    named = [*settings.get("PrivateMirror", []), *settings.get("DatabaseMirror", [])]
    return [name.rstrip("/") if "://" in name else f"https://{name}".rstrip("/") for name in named]


def version_offered(settings: Mapping[str, list[str]], timeout: float) -> str | None:
    """Return the version the first answering mirror offers, None when no mirror answers with a database."""
    for mirror in mirror_addresses(settings):
        # Only the header is fetched: the whole database is hundreds of megabytes.
        only_header = {"Range": f"bytes=0-{HEADER_BYTES - 1}"}
        try:
            with open_url(f"{mirror}/{DATABASE}.cvd", headers=only_header, timeout=timeout) as answer:
                offered = parse_header(answer.read(HEADER_BYTES))
        except (OSError, ValueError):
            continue
        if offered:
            return offered
    return None
