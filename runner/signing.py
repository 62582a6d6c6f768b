"""Signs and checks statements with OpenSSH's ``ssh-keygen -Y``: anyone can check them without Rawat."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner import errors
from runner.canonical import canonical_json
from runner.files import write_once
from runner.officials import NAMESPACE, Official, Roster

_CHECK_SECONDS = 30
# ssh-keygen asks for the passphrase itself, on the terminal or through the agent; it gets nothing else.
_KEPT_ENVIRONMENT = ("PATH", "HOME", "SSH_AUTH_SOCK", "SSH_ASKPASS", "SSH_ASKPASS_REQUIRE", "DISPLAY", "TERM")


def _program() -> str:
    found = shutil.which("ssh-keygen")
    if found is None:
        raise errors.InputError("there is no ssh-keygen here", hint="apt-get install openssh-client")
    return found


def _environment() -> dict[str, str]:
    return {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}


@dataclass(frozen=True)
class Made:
    """A statement, as the bytes that are kept, and the signature over them."""

    statement: bytes
    signature: bytes


def made(said: dict[str, Any], key: Path, scratch: Path, namespace: str = NAMESPACE) -> Made:
    """Sign what is ``said`` in a folder of its own below ``scratch``, which is removed again.

    Raises:
        DecisionRefusedError: when ssh-keygen made no signature.
    """
    with tempfile.TemporaryDirectory(prefix="sign-", dir=scratch) as folder:
        statement = write_once(Path(folder, "statement.json"), canonical_json(said))
        signature = sign(statement, key, namespace)
        return Made(statement.read_bytes(), signature.read_bytes())


def require_key_of(official: Official, roster: Roster, signed: Made, key: Path) -> None:
    """Require that ``key`` is the one that the roster gives this official: what it signed is his word.

    Raises:
        DecisionRefusedError: when it is another key.
    """
    if not is_signed_by(signed.statement, signed.signature, official.id, roster.allowed_signers()):
        raise errors.DecisionRefusedError(
            f"the key {key} is not the key of {official.name} in the roster",
            hint="nothing was recorded; sign with that official's own key",
        )


def signature_of(data: bytes, key: Path, namespace: str) -> bytes:
    """Return the signature over ``data`` by a key that asks for no passphrase, leaving nothing behind.

    Raises:
        DecisionRefusedError: when ssh-keygen made no signature.
    """
    with tempfile.TemporaryDirectory(prefix="rawat-sign-") as folder:
        return sign(write_once(Path(folder, "data"), data), key, namespace).read_bytes()


def sign(statement: Path, key: Path, namespace: str = NAMESPACE) -> Path:
    """Sign ``statement`` with the key at ``key`` (or its ``.pub``, when an agent holds it).

    Returns the signature's path. The passphrase is asked for by ssh-keygen on the terminal.

    Raises:
        DecisionRefusedError: when ssh-keygen made no signature.
    """
    signature = statement.with_name(statement.name + ".sig")
    signature.unlink(missing_ok=True)
    command = [_program(), "-q", "-Y", "sign", "-f", str(key), "-n", namespace, str(statement)]
    if not key.exists():
        raise errors.DecisionRefusedError(f"there is no key at {key}", hint="give another with --key FILE")
    _require_own(key)
    done = subprocess.run(command, check=False, env=_environment(), stderr=subprocess.PIPE, text=True)
    if done.returncode != 0 or not signature.exists():
        reason = (done.stderr or "").strip().splitlines()
        raise errors.DecisionRefusedError(
            f"no signature was made with {key}: {reason[-1] if reason else 'ssh-keygen gave no reason'}",
            hint="the gate is still open; try again with the right key and passphrase (without a terminal "
            "nobody is asked for one: ssh-add the key before)",
        )
    return write_once(signature, signature.read_bytes())


def _require_own(key: Path) -> None:
    """Refuse a key that others may read or change: OpenSSH does so too, in more lines than one error has.

    Raises:
        DecisionRefusedError: naming its mode and the command that mends it.
    """
    status = key.stat()
    others = 0o077 if key.suffix != ".pub" and status.st_uid == os.getuid() else 0o002
    mode = status.st_mode & 0o777
    if mode & others:
        raise errors.DecisionRefusedError(
            f"no signature was made with {key}: others may read or change it (mode {mode:04o})",
            hint=f"chmod {'644' if key.suffix == '.pub' else '600'} {key}; a key that somebody else has read "
            "is to be replaced",
        )


def is_signature_on(data: bytes, signature: bytes, namespace: str) -> bool:
    """Tell whether a signature is on ``data``, by whatever key; it tells damage apart, no more."""
    return _holds(data, signature, ["check-novalidate", "-n", namespace])


def is_signed_by(
    statement: bytes, signature: bytes, signer: str, allowed_signers: bytes, namespace: str = NAMESPACE
) -> bool:
    """Tell whether ``signature`` over ``statement`` was made with the key of official ``signer``."""
    with tempfile.TemporaryDirectory(prefix="rawat-check-") as folder:
        allowed = Path(folder, "allowed_signers")
        allowed.write_bytes(allowed_signers)
        return _holds(statement, signature, ["verify", "-f", str(allowed), "-I", signer, "-n", namespace])


def _holds(data: bytes, signature: bytes, how: Sequence[str]) -> bool:
    with tempfile.TemporaryDirectory(prefix="rawat-check-") as folder:
        signed = Path(folder, "data.sig")
        signed.write_bytes(signature)
        done = subprocess.run(
            [_program(), "-Y", *how, "-s", str(signed)],
            check=False,
            input=data,
            capture_output=True,
            env=_environment(),
            timeout=_CHECK_SECONDS,
        )
    return done.returncode == 0
