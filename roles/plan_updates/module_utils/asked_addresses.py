"""Asks addresses from the host itself, following no redirection.

Modules import it; the tests after an update run its text on the host as it stands, so it imports only what
Python brings along.
"""

from __future__ import annotations

import http.client
import json
import sys
import urllib.parse
from typing import Any

KINDS = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
SECONDS = 10


def answer_of(url: str, timeout: float = SECONDS) -> dict[str, Any]:
    """Return ``url`` and ``status`` of an address; status 0 when nothing answered, then with its ``error``.

    Raises:
        ValueError: it is no address of http or https.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in KINDS or not parts.hostname:
        message = f"not an http or https address: {url!r}"
        raise ValueError(message)
    connection = KINDS[parts.scheme](parts.hostname, parts.port, timeout=timeout)
    try:
        connection.request("GET", urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, "")))
        return {"url": url, "status": connection.getresponse().status}
    except (OSError, http.client.HTTPException) as error:
        return {"url": url, "status": 0, "error": f"{error.__class__.__name__}: {error}"[:200]}
    finally:
        connection.close()


if __name__ == "__main__":
    print(json.dumps({url: answer_of(url)["status"] for url in json.loads(sys.argv[1])}))
