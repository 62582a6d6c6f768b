"""When a certificate ends, read with the standard library, or by openssl where that lacks what it takes."""

from __future__ import annotations

import calendar
import subprocess
import time
from pathlib import Path


def end_of_certificate(path: str) -> int:
    """Return when the first certificate of a PEM file ends, in seconds since 1970.

    Raises:
        OSError: when it cannot be read.
        ValueError: when it is no certificate.
    """
    if not Path(path).is_file():
        raise ValueError("it is no file")
    Path(path).open("rb").close()  # says plainly when it may not be read
    try:
        # What Python's own tests read certificate files with; there is no public name for it.
        said = __import__("_ssl")._test_decode_cert(path)["notAfter"]  # noqa: SLF001 - see above
    except (ImportError, AttributeError):
        said = _by_openssl(path)
    except OSError as error:
        raise ValueError("it is no certificate") from error
    return seconds_of(said)


def _by_openssl(path: str) -> str:
    asked = ["openssl", "x509", "-noout", "-enddate", "-in", path]
    try:
        done = subprocess.run(asked, stdin=subprocess.DEVNULL, capture_output=True, timeout=10, check=False)
    except subprocess.TimeoutExpired as error:
        raise ValueError("openssl did not end within 10 seconds") from error
    if done.returncode:
        raise ValueError(f"openssl ended with {done.returncode}")
    return done.stdout.decode("ascii", "replace").partition("=")[2].strip()


def seconds_of(said: str) -> int:
    """Return the seconds since 1970 of a certificate's time, such as ``Jun  1 12:00:00 2026 GMT``."""
    return calendar.timegm(time.strptime(said, "%b %d %H:%M:%S %Y GMT"))
