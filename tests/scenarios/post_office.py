"""A real mail server on 127.0.0.1 for the tests, with STARTTLS and passwords, and settings that use it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope, Session
from office_services import certificate

PASSWORD = "kata-sandi-yang-tidak-boleh-bocor"
HEAD = "kabid@dinas.example"


@dataclass
class PostOffice:
    """A mail server on 127.0.0.1 with STARTTLS and passwords, and what it has taken."""

    folder: Path
    port: int
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    logins: list[tuple[bytes, bytes]] = field(default_factory=list)
    refusing: str = ""
    """An answer to every mail instead of taking it."""

    async def handle_DATA(self, _server: Any, _session: Session, envelope: Envelope) -> str:  # noqa: ANN401, N802 - aiosmtpd's
        if self.refusing:
            return self.refusing
        content = envelope.content
        assert isinstance(content, bytes)
        self.mails.append(message_from_bytes(content, policy=policy.default))
        self.recipients.append(envelope.rcpt_tos)
        return "250 taken"

    def authenticate(self, *told: Any) -> AuthResult:  # noqa: ANN401 - aiosmtpd's
        data = told[-1]
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == PASSWORD.encode(), handled=False)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def post_office(folder: Path) -> Iterator[PostOffice]:
    """Open a mail server whose certificate and password stand in a new folder."""
    folder.mkdir()
    made = certificate(names=("localhost",))
    for name, data in (("ca.pem", made.authority), ("site.pem", made.site), ("site.key", made.key)):
        (folder / name).write_bytes(data)
    (folder / "password").write_text(f"{PASSWORD}\n", encoding="utf-8")
    (folder / "password").chmod(0o600)
    trust = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trust.load_cert_chain(folder / "site.pem", folder / "site.key")
    post = PostOffice(folder, free_port())
    server = Controller(
        post,
        hostname="127.0.0.1",
        port=post.port,
        tls_context=trust,
        require_starttls=True,
        authenticator=post.authenticate,
        auth_required=True,
    )
    server.start()
    try:
        yield post
    finally:
        server.stop()


def settings_text(post: PostOffice, **more: str) -> str:
    lines = [
        "from: rawat@dinas.example",
        (
            f"smtp: {{host: localhost, port: {post.port}, user: rawat, password_file: password, "
            "ca_file: ca.pem}"
        ),
        f"addresses: {{kabid: {HEAD}, pengelola: pengelola@dinas.example}}",
        *(f"{key}: {value}" for key, value in more.items()),
    ]
    return "\n".join(lines) + "\n"


def occasions(post: PostOffice) -> list[str]:
    heads = ("Menunggu", "Masih menunggu", "Waktu baku", "Batas waktu")
    return [next(head for head in heads if f"] {head}" in mail_["Subject"]) for mail_ in post.mails]
