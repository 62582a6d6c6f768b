"""Asking for echoes (ICMP) by ping, which every user may run."""

from __future__ import annotations

import ipaddress
import re
import socket
import subprocess
from typing import Any

_COUNTS = re.compile(r"^(\d+) packets transmitted, (\d+) received", re.MULTILINE)
_TIMES = re.compile(r"^rtt min/avg/max/mdev = [\d.]+/([\d.]+)/([\d.]+)/", re.MULTILINE)


def ask(host: str, count: int, *, interval: float = 0.2, seconds: int = 2) -> dict[str, Any]:
    """Send ``count`` echo requests; return `status` (`asked` or `no such name`) and what came back.

    Raises:
        OSError: when there is no ping here.
    """
    nothing: dict[str, Any] = {"sent": count, "received": 0, "average_ms": None, "longest_ms": None}
    try:
        # Not ping's own look-up: what is no address could be an option of it.
        address = str(socket.getaddrinfo(host, None)[0][4][0])
        ipaddress.ip_address(address.partition("%")[0])
    except (OSError, ValueError):
        return {"status": "no such name", **nothing}
    try:
        done = subprocess.run(
            ["ping", "-n", "-q", "-c", str(count), "-i", str(interval), "-W", str(seconds), address],
            check=False,
            capture_output=True,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"},
            timeout=count * interval + seconds + 5,
        )
    except subprocess.TimeoutExpired:
        return {"status": "asked", **nothing}
    text = done.stdout.decode("ascii", "replace")
    counted, timed = _COUNTS.search(text), _TIMES.search(text)
    return {
        "status": "asked",
        "sent": int(counted[1]) if counted else count,
        "received": int(counted[2]) if counted else 0,
        "average_ms": float(timed[1]) if timed else None,
        "longest_ms": float(timed[2]) if timed else None,
    }
