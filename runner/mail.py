"""Hands letters over: mail by SMTP, and whatever Apprise reaches where that package is installed.

A password is read from its file when it is needed, sent only over an encrypted connection, and told nowhere.
What cannot be sent is the value ``Undelivered``, never an exception: no run hangs on a letter.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import smtplib
import ssl
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.errors import MessageError
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime, make_msgid
from pathlib import Path

from runner import errors
from runner.clock import Instant
from runner.display import display
from runner.notices import Letter, Settings, Smtp

PATIENCE = 20.0
"""Seconds for which each answer of a mail server is waited for."""
_LONGEST = 200


@dataclass(frozen=True)
class Undelivered:
    """A letter that could not be handed over, and why."""

    letter: Letter
    why: str


@dataclass(frozen=True)
class Office:
    """The settings of an office, and the folder that their paths are relative to."""

    settings: Settings
    folder: Path


def send(office: Office, letters: Sequence[Letter], now: Instant) -> list[Undelivered]:
    """Hand letters over, each by its way; return what was not taken."""
    mails = [letter for letter in letters if letter.way == "mail"]
    others = [letter for letter in letters if letter.way == "apprise"]
    failed = _by_mail(office, mails, now) if mails else []
    return failed + [lost for letter in others if (lost := _by_apprise(office, letter))]


def message_of(settings: Settings, letter: Letter, now: Instant) -> EmailMessage:
    """Return a letter as a mail; a line end in a header is refused by the mail's own policy."""
    message = EmailMessage(policy=SMTP_POLICY)
    sender = settings.sender or ""
    message["From"] = sender
    message["To"] = settings.addresses[letter.official]
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(now.at)
    message["Message-ID"] = make_msgid(domain=sender.partition("@")[2])
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.body, cte="quoted-printable")
    return message


def read_secret(path: Path) -> str:
    """Return the text of a file that holds a secret.

    Raises:
        InputError: when it cannot be read, or others may read it.
    """
    try:
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise errors.InputError(f"{path}: others may read this secret", hint=f"chmod 600 {path}")
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise errors.InputError(f"{path}: cannot be read") from error


def _by_mail(office: Office, letters: Sequence[Letter], now: Instant) -> list[Undelivered]:
    smtp, left = office.settings.smtp, list(letters)
    failed: list[Undelivered] = []
    if smtp is None:
        return failed
    try:
        with _connection(smtp, office.folder) as server:
            while left:
                try:
                    server.send_message(message_of(office.settings, left[0], now))
                except (smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused, MessageError) as error:
                    failed.append(Undelivered(left[0], _why(error)))
                    server.rset()
                left = left[1:]
    except (OSError, smtplib.SMTPException, errors.InputError) as error:
        # What was not handed over before the server went away was not handed over at all.
        failed += [Undelivered(letter, _why(error)) for letter in left]
    return failed


@contextmanager
def _connection(smtp: Smtp, folder: Path) -> Iterator[smtplib.SMTP]:
    trust = ssl.create_default_context(cafile=str(folder / smtp.ca_file) if smtp.ca_file else None)
    password = read_secret(folder / smtp.password_file) if smtp.password_file else ""
    server: smtplib.SMTP
    if smtp.security == "tls":
        server = smtplib.SMTP_SSL(smtp.host, smtp.port, timeout=PATIENCE, context=trust)
    else:
        server = smtplib.SMTP(smtp.host, smtp.port, timeout=PATIENCE)
    with server:
        if smtp.security == "starttls":
            server.starttls(context=trust)
        if smtp.user:
            server.login(smtp.user, password)
        yield server


def _why(error: Exception) -> str:
    """Return why something was not sent, in one line; of a refusal by password nothing but its number."""
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return f"the mail server refuses user and password ({error.smtp_code})"
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, said = next(iter(error.recipients.values()))
        return display(f"the mail server refuses the address: {code} {_text(said)}", longest=_LONGEST)
    if isinstance(error, smtplib.SMTPResponseException):
        return display(
            f"the mail server answers {error.smtp_code} {_text(error.smtp_error)}", longest=_LONGEST
        )
    return display(str(error) or type(error).__name__, longest=_LONGEST)


def _text(said: bytes | str) -> str:
    return said.decode(errors="replace") if isinstance(said, bytes) else said


def _by_apprise(office: Office, letter: Letter) -> Undelivered | None:
    if importlib.util.find_spec("apprise") is None:
        return Undelivered(letter, "the package apprise is not installed")
    try:
        urls = read_secret(office.folder / office.settings.apprise[letter.official]).splitlines()
    except errors.InputError as error:
        return Undelivered(letter, display(str(error), longest=_LONGEST))
    try:
        taken = _carried(urls, letter)
    except Exception as error:  # noqa: BLE001 - what strangers' code for some hundred services may raise, nobody knows
        return Undelivered(letter, f"Apprise failed: {type(error).__name__}")
    return None if taken else Undelivered(letter, "Apprise could not hand it over")


def _carried(urls: Sequence[str], letter: Letter) -> bool:
    # Its URLs hold tokens, and it would write to the terminal which of them failed.
    logging.getLogger("apprise").addHandler(logging.NullHandler())
    logging.getLogger("apprise").propagate = False
    carrier = importlib.import_module("apprise").Apprise()
    known = [bool(carrier.add(url)) for url in urls if url.strip()]
    return all(known) and bool(carrier.notify(title=letter.subject, body=letter.body))
