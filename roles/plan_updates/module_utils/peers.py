"""Talking to what is no computer of ours: bounded in time, and what it says taken as a stranger's text.

Rules kept here: no answer is waited for longer than a deadline set over all of its parts, so that a peer
that sends a byte now and then gains nothing by it; what was said is cut short and has no control characters.
"""

from __future__ import annotations

import signal
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

LONGEST = 200


class PeerTimeout(TimeoutError):  # noqa: N818 - a TimeoutError, and named as those are
    """A peer did not say all it should within its deadline."""


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Raise PeerTimeout in what is done within, once so many seconds are over. Not to be nested."""

    def over(_number: int, _frame: FrameType | None) -> None:
        raise PeerTimeout

    before = signal.signal(signal.SIGALRM, over)
    left, _ = signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, left)


def printable(value: object, longest: int = LONGEST) -> str:
    """Return what a peer said as one line of limited length, without characters that are not seen."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    kept = (" " if c.isspace() else c for c in text[: 4 * longest])
    clean = "".join(c for c in kept if unicodedata.category(c)[0] != "C")
    return " ".join(clean.split())[:longest]


def number(value: object) -> int | None:
    """Return a peer's value that has to be a whole number, None when it is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def why_not(error: Exception) -> str:
    """Return in a word why a peer could not be talked to: one of those that the judges know."""
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    if isinstance(error, ConnectionError):
        return "cut off"
    if isinstance(error, OSError):
        return "no way there"
    return "not understood"
