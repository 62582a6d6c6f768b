"""The archive's own key: signs the head of the register and the tag manifest of every bag.

It is the key of this controller, without a passphrase, because sealing happens with nobody at hand. Whoever
has it can sign a forged future; what was signed before is held by checkpoints that have left the machine. It
stands beside the archive and never in it. The public half is in the archive, in every bag, and with every
checkpoint.
"""

from __future__ import annotations

import base64
import binascii
import re
import subprocess
import tempfile
from pathlib import Path

from runner import errors, signing
from runner.canonical import sha256_hex
from runner.files import make_private_dir, write_once

NAMESPACE = "rawat-archive"
SIGNER = "arsip"
_LINE = re.compile(rb'arsip namespaces="rawat-archive" ssh-ed25519 [A-Za-z0-9+/]+={0,2}\n')
_ARMOR = re.compile(rb"-----BEGIN SSH SIGNATURE-----\n[A-Za-z0-9+/=\n]+-----END SSH SIGNATURE-----\n")
# ssh-keygen takes version 0 for version 1, so that one bit of a signature would count for nothing.
_BEGINNING = b"SSHSIG\x00\x00\x00\x01"
# ssh-keygen breaks the text of a signature here.
_WIDTH = 70


def key_beside(archive: Path) -> Path:
    """Return where the key of an archive stands unless the office keeps it elsewhere."""
    return archive.parent / f".{archive.name}-key" / "ed25519"


def require_key(path: Path) -> Path:
    """Return the key, made now if there is none.

    Raises:
        InputError: when it cannot be made, or others could read it.
    """
    if path.exists():
        if path.stat().st_mode & 0o077:
            raise errors.InputError(f"{path} can be read by others", hint=f"chmod 600 {path}")
        return path
    make_private_dir(path.parent)
    with tempfile.TemporaryDirectory(prefix=".key-", dir=path.parent) as folder:
        fresh = Path(folder, "key")
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", SIGNER, "-f", str(fresh)]
        done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode != 0:
            raise errors.InputError(f"no key for the archive could be made: {done.stderr.strip()}")
        write_once(path.with_name(f"{path.name}.pub"), fresh.with_name("key.pub").read_bytes())
        write_once(path, fresh.read_bytes())
    return path


def signers_line(key: Path) -> bytes:
    """Return the public half of the key as a line that ``ssh-keygen -Y verify`` reads.

    Raises:
        InputError: when it is missing or of another kind.
        VerificationError: when the disk does not give it.
    """
    public = key.with_name(f"{key.name}.pub")
    try:
        kind, blob = public.read_bytes().split()[:2]
    except (FileNotFoundError, ValueError) as error:
        raise errors.InputError(
            f"{public} is not a public key", hint="ssh-keygen -y -f KEY > KEY.pub"
        ) from error
    except OSError as error:
        raise errors.VerificationError(str(public), f"cannot be read: {error.strerror}") from error
    line = b'%s namespaces="%s" %s %s\n' % (SIGNER.encode(), NAMESPACE.encode(), kind, blob)
    require_signers(line, str(public))
    return line


def require_signers(data: bytes, name: str) -> tuple[bytes, ...]:
    """Return the lines of a file of signers, each once and in the one form that Rawat writes.

    Raises:
        VerificationError: naming the first line that is not.
    """
    lines = tuple(data.splitlines(keepends=True))
    for number, line in enumerate(lines, start=1):
        if _LINE.fullmatch(line) is None or line in lines[: number - 1]:
            raise errors.VerificationError(f"{name}:{number}", "is not a key of an archive, each once")
    if not lines:
        raise errors.VerificationError(name, "holds no key")
    return lines


def beginnings(signers: bytes) -> list[str]:
    """Return the digests that a file of signers had with one key, with two, ...: keys are only added."""
    keys = signers.splitlines(keepends=True)
    return [sha256_hex(b"".join(keys[:count])) for count in range(1, len(keys) + 1)]


def sign(data: bytes, key: Path) -> bytes:
    """Return the archive's signature over ``data``; the same key gives the same bytes."""
    return signing.signature_of(data, key, NAMESPACE)


def is_signed(data: bytes, signature: bytes, signers: bytes) -> bool:
    """Tell whether ``signature`` over ``data`` is by a key of ``signers``, and written in its one form."""
    if _ARMOR.fullmatch(signature) is None or not _has_one_form(signature):
        return False
    return signing.is_signed_by(data, signature, SIGNER, signers, NAMESPACE)


def _has_one_form(signature: bytes) -> bool:
    """Tell whether the text of a signature is broken where ssh-keygen breaks it, and has no spare bits."""
    body = signature.splitlines()[1:-1]
    text = b"".join(body)
    try:
        blob = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    if not blob.startswith(_BEGINNING) or text != base64.b64encode(blob):
        return False
    return body == [text[at : at + _WIDTH] for at in range(0, len(text), _WIDTH)]
