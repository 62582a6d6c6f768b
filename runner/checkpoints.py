"""Makes checkpoints and takes them to places outside this machine.

At every gate, and when a run was sealed. A place that cannot be reached stops the run there: what an official
is about to decide on would not be held anywhere else.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from runner import archive_key, errors, register
from runner.archive_settings import Place
from runner.checkpoint import RunChain
from runner.clock import format_utc
from runner.display import display
from runner.files import write_once
from runner.journal import Event
from runner.outside import CHECKPOINT

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
        try:
            if path.exists() and _is_there(str(directory), name, path.read_bytes(), data):
                continue
            write_once(path, data)
        except OSError as error:
            raise _refused(str(directory), error.strerror or str(error)) from error
        except errors.CannotRecordError as error:
            raise _refused(str(directory), str(error)) from error


def _is_there(place: str, name: str, there: bytes, data: bytes) -> bool:
    """Tell whether a place has a file already; a cut off one, or keys to which one was added, is put anew.

    Raises:
        CannotRecordError: when it has another file of that name, which is never written over.
    """
    if not data.startswith(there):
        raise _refused(place, f"it holds another {name} than this archive's, which is not written over")
    return there == data


def _to_host(place: Place, files: dict[str, bytes]) -> None:
    """Put the files on a host by sftp; each is renamed to its name when all of it is there."""
    with tempfile.TemporaryDirectory(prefix="rawat-checkpoint-") as folder:
        local = {name: Path(folder, str(number)) for number, name in enumerate(files)}
        # "-": what is not there yet cannot be got, and that is no failure.
        _sftp(place, [f'-get "{place.folder}/{name}" "{local[name]}"' for name in files])
        commands = []
        for name, data in files.items():
            path, target = local[name], f"{place.folder}/{name}"
            was_there = path.exists()
            if was_there and _is_there(place.name, name, path.read_bytes(), data):
                continue
            write_once(path, data)
            commands += [f'put "{path}" "{target}.partial"']
            # Sftp renames over no file.
            commands += [f'rm "{target}"'] if was_there else []
            commands += [f'rename "{target}.partial" "{target}"']
        if commands:
            _sftp(place, commands)


def _sftp(place: Place, commands: Sequence[str]) -> None:
    options = ["BatchMode=yes", "StrictHostKeyChecking=yes", "ConnectTimeout=15", "ServerAliveInterval=5"]
    # With -q nobody would learn why there was no connection.
    options += ["LogLevel=ERROR"]
    argv = ["sftp", "-b", "-", *(f"-o{option}" for option in options), "--", str(place.host)]
    environment = {key: os.environ[key] for key in _ENVIRONMENT if key in os.environ}
    try:
        with subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            env=environment,
            start_new_session=True,
        ) as child:
            try:
                _, said = child.communicate("\n".join(commands) + "\n", timeout=_SECONDS)
            except BaseException:
                # The ssh that sftp has started holds our pipe: without this it is waited for.
                os.killpg(child.pid, signal.SIGKILL)
                raise
    except subprocess.TimeoutExpired as error:
        raise _refused(place.name, f"nothing was heard of it for {_SECONDS} seconds") from error
    except OSError as error:
        raise _refused(place.name, str(error)) from error
    if child.returncode != 0:
        # What came of it is said last, but for the end of the connection.
        lines = [line.strip() for line in said.splitlines() if not line.startswith("Connection closed")]
        told = "; ".join(line for line in lines[-2:] if line) or f"sftp ended with {child.returncode}"
        raise _refused(place.name, display(told, longest=_SHOWN))


def _refused(place: str, reason: str) -> errors.CannotRecordError:
    return errors.CannotRecordError(f"the checkpoint did not get to {place}: {reason}", hint=_HINT)
