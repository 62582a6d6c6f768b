"""Ask addresses from the host itself: prints the status of each, 0 when nothing answered."""

import http.client
import json
import sys
import urllib.parse

KINDS = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}


def status_of(url: str) -> int:
    """Return the status of one address, following no redirection."""
    parts = urllib.parse.urlsplit(url)
    connection = KINDS[parts.scheme](parts.hostname or "", parts.port, timeout=10)
    try:
        connection.request("GET", urllib.parse.urlunsplit(("", "", parts.path or "/", parts.query, "")))
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


print(json.dumps({url: status_of(url) for url in json.loads(sys.argv[1])}))
