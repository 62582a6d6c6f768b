"""Makes checkpoints and takes them to places outside this machine.

At every gate, and when a run was sealed. A place that cannot be reached stops the run there: what an official
is about to decide on would not be held anywhere else.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from runner import archive_key, errors, register
from runner.archive_settings import Place
from runner.checkpoint import RunChain
from runner.clock import format_utc
from runner.files import write_once
from runner.journal import Event
from runner.verify import CHECKPOINT

_SECONDS = 60
_SHOWN = 300
_ENVIRONMENT = ("PATH", "HOME", "SSH_AUTH_SOCK")
_HINT = "mount it or reach it again, then 'rawat resume'; the places stand in archive.yml"


def made(archive: Path, key: Path, events: Sequence[Event] = ()) -> tuple[str, bytes, bytes]:
    """Return the name and content of a checkpoint, and the archive's public keys.

    Args:
        archive: the archive's folder; its register is signed first if a crash left that to do.
        key: the archive's own key.
        events: the journal of the run at whose gate it is made; empty after sealing.
    """
    with register.held(archive, key) as held:
        if held.lines:
            held.sign()
        signers = held.signers
        point = register.checkpoint(held.lines, signers)
    name = f"{point.archive.records:06d}-{point.archive.head[:12]}"
    if events:
        run = RunChain(run=events[0]["run"], records=len(events), head=events[-1].digest)
        point = point.model_copy(update={"run": run, "at": format_utc(events[-1].instant.at)})
        name = f"{run.run}-{run.records:06d}-{run.head[:12]}"
    return f"{name}{CHECKPOINT}", point.data + archive_key.sign(point.data, key), signers


def deliver(name: str, data: bytes, signers: bytes, places: Sequence[Place]) -> None:
    """Take a checkpoint, and the keys it is checked with, to every place.

    Raises:
        CannotRecordError: naming the place that did not take it.
    """
    for place in places:
        files = {register.SIGNERS: signers, name: data}
        if place.directory is not None:
            _to_directory(Path(place.directory), files)
        else:
            _to_host(place, files)


def _to_directory(directory: Path, files: dict[str, bytes]) -> None:
    # Never made here: an empty mount point is a folder of this machine's own disk.
    if not directory.is_dir():
        raise _refused(str(directory), "there is no such folder")
    for name, data in files.items():
        path = directory / name
        if path.exists() and path.read_bytes() == data:
            continue
        try:
            write_once(path, data)
        except errors.CannotRecordError as error:
            raise _refused(str(directory), str(error)) from error


def _to_host(place: Place, files: dict[str, bytes]) -> None:
    """Put the files on a host by sftp; each is renamed to its name when all of it is there."""
    with tempfile.TemporaryDirectory(prefix="rawat-checkpoint-") as folder:
        commands = []
        for number, (name, data) in enumerate(files.items()):
            write_once(Path(folder, str(number)), data)
            target = f"{place.folder}/{name}"
            # "-": there is no such file the first time; sftp renames over none.
            commands += [f'put "{folder}/{number}" "{target}.partial"', f'-rm "{target}"']
            commands += [f'rename "{target}.partial" "{target}"']
        options = ["BatchMode=yes", "StrictHostKeyChecking=yes", "ConnectTimeout=15"]
        argv = ["sftp", "-q", "-b", "-", *(f"-o{option}" for option in options), "--", str(place.host)]
        environment = {key: os.environ[key] for key in _ENVIRONMENT if key in os.environ}
        try:
            done = subprocess.run(
                argv,
                input="\n".join(commands) + "\n",
                check=False,
                capture_output=True,
                text=True,
                env=environment,
                timeout=_SECONDS,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise _refused(place.name, str(error)) from error
    if done.returncode != 0:
        said = done.stderr.strip().splitlines()
        raise _refused(place.name, said[-1][:_SHOWN] if said else f"sftp ended with {done.returncode}")


def _refused(place: str, reason: str) -> errors.CannotRecordError:
    return errors.CannotRecordError(f"the checkpoint did not get to {place}: {reason}", hint=_HINT)
