"""HTML to PDF/A-3a, in a process of its own that is held to limits (see ``runner.pdf_worker``).

The same HTML, title, time and attachment give the same bytes on every machine with the same versions of
WeasyPrint, Pango and the Liberation fonts, wherever the file is written and whenever.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.errors import StepFailedError
from runner.files import write_once
from runner.language import _
from runner.pdf_worker import EXIT_FONT, EXIT_MEMORY, EXIT_REFUSED, FONT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path
    from subprocess import CompletedProcess

_SHOWN_OF_ERRORS = 600
_CRASHES = (-signal.SIGSEGV, -signal.SIGBUS, -signal.SIGABRT)
_FEWER = "run the SOP on fewer hosts at a time (--limit)"


@dataclass(frozen=True)
class Limits:
    """What one document may cost; 2,000 table rows were measured at 25 CPU seconds and 590 MB."""

    memory: int = 2 * 1024**3
    cpu_seconds: int = 240
    wall_seconds: float = 480


DEFAULT_LIMITS = Limits()


def write_pdf(
    html: str,
    title: str,
    created: datetime,
    attachment: tuple[str, bytes],
    target: Path,
    *,
    description: str = "",
    tables: Sequence[tuple[str, bytes]] = (),
    limits: Limits = DEFAULT_LIMITS,
) -> None:
    """Write the document as a tagged PDF/A-3a file with the attachment and the tables (CSV) in it.

    Raises:
        StepFailedError: the document went over a limit, wanted to load something, or could not be laid out.
    """
    pdf = render_pdf(html, title, created, attachment, description=description, tables=tables, limits=limits)
    write_once(target, pdf)


def render_pdf(
    html: str,
    title: str,
    created: datetime,
    attachment: tuple[str, bytes] | None,
    *,
    description: str = "",
    tables: Sequence[tuple[str, bytes]] = (),
    limits: Limits = DEFAULT_LIMITS,
) -> bytes:
    """Return the bytes of the PDF; see ``write_pdf``."""
    attached = [] if attachment is None else [(*attachment, description or _("Data dokumen ini (JSON)"))]
    attached += [(*table, _("Tabel untuk lembar kerja (CSV)")) for table in tables]
    request = {
        "html": html,
        "title": title,
        "created": created.isoformat(),
        "attachments": [
            {"name": name, "description": said, "content": base64.b64encode(content).decode("ascii")}
            for name, content, said in attached
        ],
    }
    # -I: neither the current folder nor PYTHON* variables decide what the worker imports.
    argv = [sys.executable, "-I", "-m", "runner.pdf_worker", str(limits.memory), str(limits.cpu_seconds)]
    given = json.dumps(request).encode()
    try:
        done = _work(argv, given, created, limits)
        if done.returncode in _CRASHES:
            # One document in some thousand was seen to crash in a native library, and never twice; what
            # in there is not known. The same request gives the same bytes: asking again hides nothing.
            done = _work(argv, given, created, limits)
    except subprocess.TimeoutExpired as expired:
        raise StepFailedError(
            f"the PDF {title!r} was not finished within {limits.wall_seconds:g} seconds and was given up",
            hint="the machine may be overloaded: 'rawat resume' tries again",
        ) from expired
    if done.returncode:
        raise _failure(title, done.returncode, done.stderr, limits)
    return done.stdout


def _work(argv: Sequence[str], given: bytes, created: datetime, limits: Limits) -> CompletedProcess[bytes]:
    return subprocess.run(
        argv,
        input=given,
        capture_output=True,
        check=False,
        cwd="/",
        env=_environment(created),
        timeout=limits.wall_seconds,
    )


def _environment(created: datetime) -> dict[str, str]:
    return {
        "HOME": "/nonexistent",  # a user's own fontconfig settings would change the file
        "LC_ALL": "C.UTF-8",
        "PATH": os.defpath,
        "SOURCE_DATE_EPOCH": str(int(created.timestamp())),
        "TZ": "UTC",
    }


def _failure(title: str, code: int, errors: bytes, limits: Limits) -> StepFailedError:
    said = errors.decode(errors="replace").strip()[-_SHOWN_OF_ERRORS:]
    memory = f"{limits.memory // 1024**2} MiB of memory"
    if code == EXIT_MEMORY:
        return StepFailedError(f"the PDF {title!r} needs more than {memory}", hint=_FEWER)
    if code in (-signal.SIGXCPU, -signal.SIGKILL):
        return StepFailedError(
            f"the PDF {title!r} needs more than {limits.cpu_seconds} seconds of processor time,"
            " or the machine ended it for want of memory",
            hint=_FEWER,
        )
    if code == EXIT_REFUSED:
        return StepFailedError(
            f"the PDF {title!r} was refused: {said}", hint="templates name no files or URLs"
        )
    if code == EXIT_FONT:
        return StepFailedError(
            f"the PDF {title!r} needs the font {FONT} and it is not installed; {said}",
            hint="install it: apt-get install fonts-liberation",
        )
    if code < 0:
        return StepFailedError(
            f"the PDF {title!r} could not be made: its process was ended by {signal.Signals(-code).name}"
            f" (limits: {memory}, {limits.cpu_seconds} s of processor time)",
            hint=_FEWER,
        )
    return StepFailedError(f"the PDF {title!r} could not be made: {said}")
