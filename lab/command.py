"""Running the system's own tools: argument lists only, output captured, failures explained."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.errors import LabError

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def run(
    argv: Sequence[str | Path],
    *,
    stdin: str = "",
    extra_env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float = 120,
) -> str:
    """Return the standard output of a command.

    Raises LabError when it fails or takes longer than `timeout` seconds.
    """
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(
            words,
            input=stdin,
            env=clean_environment(extra_env),
            cwd=cwd,
            timeout=timeout,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except FileNotFoundError as error:
        raise LabError(
            f"{words[0]} is not installed", "run `rawat lab up` as root, it installs what it needs"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"`{' '.join(words[:4])} ...` took longer than {timeout:.0f} s") from error
    if done.returncode != 0:
        raise LabError(f"`{' '.join(words[:6])}` ended with {done.returncode}: {last_lines(done)}")
    return done.stdout


def is_successful(argv: Sequence[str | Path]) -> bool:
    """Tell whether a command ends with 0."""
    try:
        run(argv)
    except LabError:
        return False
    return True


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return a small environment: nothing of the caller's reaches hosts and services.

    Proxy settings stay, because the controller may reach its own mirror only through one.
    """
    kept = {key: value for key, value in os.environ.items() if key.lower().endswith("_proxy")}
    return {"PATH": SYSTEM_PATH, "LANG": "C.UTF-8", "HOME": "/root", **kept, **(extra or {})}


def last_lines(done: subprocess.CompletedProcess[str], count: int = 6) -> str:
    """Return the end of what a command said, on one line."""
    lines = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return " | ".join(line.strip() for line in lines[-count:]) or "no message"
