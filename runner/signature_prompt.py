"""Asks whoever signs a document for what proves who he is: passphrase, or NIK and passphrase.

It is typed without being shown, or read from a descriptor that a program has opened; it is kept nowhere, and
never is an argument, an environment variable or a file of Rawat's.
"""

from __future__ import annotations

import getpass
import os
import stat
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.text import Text

from runner import document_signing, errors, stamps
from runner.document_signing import Hand
from runner.moves import DueSignature
from runner.office import keys_of, roster_file_of
from runner.office_settings import Signatures
from runner.prompt import forget_typed_ahead
from runner.record import Record
from runner.screens import one_line
from runner.signers.base import Signer
from runner.signers.bsre import BsreSigner, Service
from runner.signers.pkcs12 import Pkcs12Signer
from runner.typed import read_line
from runner.workspace import RunFolder, Workspace

Secret = Callable[[str], str]
"""Asks for something that is not shown, by a question."""
_LONGEST = 4096
_MOST_CREDENTIALS = 1000


def from_descriptor(number: int) -> Secret:
    """Return what answers every question with the next line of an open descriptor.

    Raises:
        InputError: when it cannot be read, or holds no more lines.
    """
    try:
        with os.fdopen(number, encoding="utf-8", closefd=False) as stream:
            lines = iter(stream.read(_LONGEST).splitlines())
    except (OSError, ValueError) as error:
        raise errors.InputError(f"--passphrase-fd {number} cannot be read: {error}") from error

    def answer(question: str) -> str:
        line = next(lines, None)
        if line is None:
            raise errors.InputError(f"--passphrase-fd {number} holds no line for: {question.strip()}")
        return line

    return answer


class SignaturePrompt:
    """Asks on one console, for the signatures of one run."""

    def __init__(self, console: Console, workspace: Workspace, folder: RunFolder) -> None:
        self._console = console
        self._workspace = workspace
        self._folder = folder

    def __call__(self, due: DueSignature, now: Record) -> Hand | None:
        """Return who signs and with what, or None when it is left for later."""
        document = self._folder.path / due.base["path"]
        self._say(
            f"     {due.person['name']} ({due.person['id']}) signs electronically: {document}", "magenta"
        )
        self._say(
            f"     code {document_signing.code(now, due)}; Ctrl-D leaves it for later: rawat sign", "dim"
        )
        forget_typed_ahead()
        try:
            certificate = self._certificate(due) if _settings(now).by == "pkcs12" else None
            return self.hand(due, now, certificate, getpass.getpass)
        except (EOFError, KeyboardInterrupt):
            self._console.print()
            self._say("     left for later: rawat sign", "dim")
            return None
        except errors.InputError as refused:
            self._say(f"     {one_line(str(refused), _LONGEST)}", "red")
            return self(due, now)

    def hand(self, due: DueSignature, now: Record, certificate: Path | None, ask: Secret) -> Hand:
        """Return the official with what he signs with, having asked for what is secret.

        Raises:
            InputError: what was given cannot be used; nothing was signed.
        """
        settings = _settings(now)
        if settings.by == "bsre":
            service = Service(settings.service, self._credentials(settings), settings.origin)
            nik = ask("     NIK (not shown): ").strip()
            signer: Signer = BsreSigner(
                service, nik, ask("     Passphrase at the e-sign service (not shown): ")
            )
        else:
            file = certificate or self._usual(due)
            signer = Pkcs12Signer.opened(file, ask(f"     Passphrase of {file} (not shown): "))
        return Hand(due.person["id"], signer, stamps.draw)

    def _certificate(self, due: DueSignature) -> Path:
        usual = self._usual(due)
        shown = f" [{usual}]" if usual.exists() else " (path of a .p12 file)"
        while True:
            answer = read_line(f"     Certificate of {due.person['name']}{shown}: ").strip()
            if answer:
                return Path(answer).expanduser()
            if usual.exists():
                return usual

    def _usual(self, due: DueSignature) -> Path:
        return keys_of(self._workspace, self._folder) / f"{due.person['id']}.p12"

    def _credentials(self, settings: Signatures) -> str:
        """Return what the office is known by at the service, read anew each time."""
        path = roster_file_of(self._workspace, self._folder).parent / settings.credentials
        try:
            with path.open(encoding="utf-8") as stream:
                if stat.S_IMODE(os.fstat(stream.fileno()).st_mode) & (stat.S_IRWXG | stat.S_IRWXO):
                    raise errors.InputError(f"{path} can be read by others", hint=f"chmod 600 {path}")
                said = stream.read(_MOST_CREDENTIALS).strip()
        except (OSError, UnicodeDecodeError) as error:
            raise errors.InputError(
                f"{path} cannot be read: {error}", hint="office.yml names it as signatures.credentials"
            ) from error
        if ":" not in said or "\n" in said:
            raise errors.InputError(f"{path} holds no user:password in one line")
        return said

    def _say(self, line: str, style: str) -> None:
        self._console.print(Text(line, style=style), soft_wrap=True)


def _settings(now: Record) -> Signatures:
    return now.look.settings.signatures
