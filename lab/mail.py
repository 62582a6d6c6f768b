"""The lab's mail server: it takes every mail for anybody, sends none on, and keeps them to be read.

It listens on this machine's loopback alone, so that Rawat hands it mail without a password (notify.yml).
"""

from __future__ import annotations

import mailbox
import sys
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from lab.layout import Lab

ADDRESS = "127.0.0.1"


def command(lab: Lab) -> list[str]:
    """Return the command of the mail server."""
    server = [sys.executable, "-I", "-m", "aiosmtpd", "--nosetuid", "--listen", f"{ADDRESS}:{lab.mail_port}"]
    return [*server, "--class", "aiosmtpd.handlers.Mailbox", str(folder(lab))]


def folder(lab: Lab) -> Path:
    """Return the Maildir in which the mails are kept until the lab is down."""
    return lab.state / "mail"


def received(lab: Lab) -> list[EmailMessage]:
    """Return the mails that were taken, the oldest first."""
    if not folder(lab).exists():
        return []
    kept = mailbox.Maildir(folder(lab), factory=None, create=False)
    keys = sorted(kept.keys(), key=lambda key: kept.get_message(key).get_date())
    return [message_from_bytes(kept.get_bytes(key), policy=policy.default) for key in keys]


def settings(lab: Lab, officials: tuple[str, ...]) -> str:
    """Return the notify.yml of the lab's office: each official has an address there."""
    lines = (f"  {name}: {name}@lab.example\n" for name in officials)
    return (
        "---\n# Written by `rawat lab up`; not committed. `rawat lab mail` shows what was sent.\n"
        "from: rawat@lab.example\n"
        f"smtp: {{host: {ADDRESS}, port: {lab.mail_port}, security: none}}\n"
        f"addresses:\n{''.join(lines)}"
    )
