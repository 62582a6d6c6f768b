"""Signs and checks statements with OpenSSH's ``ssh-keygen -Y``: anyone can check them without Rawat."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from runner import errors
from runner.files import write_once
from runner.officials import NAMESPACE

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


def sign(statement: Path, key: Path) -> Path:
    """Sign ``statement`` with the key at ``key`` (or its ``.pub``, when an agent holds it).

    Returns the signature's path. The passphrase is asked for by ssh-keygen on the terminal.

    Raises:
        DecisionRefusedError: when ssh-keygen made no signature.
    """
    signature = statement.with_name(statement.name + ".sig")
    signature.unlink(missing_ok=True)
    command = [_program(), "-q", "-Y", "sign", "-f", str(key), "-n", NAMESPACE, str(statement)]
    if not key.exists():
        raise errors.DecisionRefusedError(f"there is no key at {key}", hint="give another with --key FILE")
    done = subprocess.run(command, check=False, env=_environment(), stderr=subprocess.PIPE, text=True)
    if done.returncode != 0 or not signature.exists():
        reason = (done.stderr or "").strip().splitlines()
        raise errors.DecisionRefusedError(
            f"no signature was made with {key}: {reason[-1] if reason else 'ssh-keygen gave no reason'}",
            hint="the gate is still open; try again with the right key and passphrase",
        )
    return write_once(signature, signature.read_bytes())


def is_signed_by(statement: bytes, signature: bytes, signer: str, allowed_signers: bytes) -> bool:
    """Tell whether ``signature`` over ``statement`` was made with the key of official ``signer``."""
    with tempfile.TemporaryDirectory(prefix="rawat-check-") as folder:
        allowed = Path(folder, "allowed_signers")
        allowed.write_bytes(allowed_signers)
        signed = Path(folder, "statement.sig")
        signed.write_bytes(signature)
        command = [_program(), "-Y", "verify", "-f", str(allowed), "-I", signer, "-n", NAMESPACE]
        done = subprocess.run(
            [*command, "-s", str(signed)],
            check=False,
            input=statement,
            capture_output=True,
            env=_environment(),
            timeout=_CHECK_SECONDS,
        )
    return done.returncode == 0
