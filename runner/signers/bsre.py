"""Signs through the e-sign service of BSrE in an office's network, as public client code describes it.

The official's key never leaves the service: it gets the whole document with his NIK and passphrase, and gives
back the signed one. Both are typed for each signature, sent once, and kept nowhere. What comes back is not
trusted: it is judged like every signature before it is recorded (``runner.pades``). Used is ``POST
/api/v2/sign/pdf``; nobody could try it against a real service yet, so ``origin`` can be set where one counts
from the top of the page.
"""

from __future__ import annotations

import base64
import http.client
import io
import json
import re
import socket
import ssl
import time
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from runner import errors, pades
from runner.display import display
from runner.signers.base import Task

SIGN = "/api/v2/sign/pdf"
NIK = re.compile(r"^[0-9]{16}$")
_PDF = b"%PDF-"
_STILL_OPEN = "nothing was recorded; try again, or leave the signature out with a reason"
_SHOWN = 200
_CHUNK = 65_536
_WRONG_PASSPHRASE, _UNKNOWN_SIGNER = 2031, 2011


@dataclass(frozen=True)
class Service:
    """Where the service is, and with what the office itself is known to it."""

    address: str
    credentials: str = field(repr=False)
    """user:password"""
    origin: Literal["bottom", "top"] = "bottom"
    """From which edge of a page the service counts upwards or downwards."""
    seconds: float = 120
    """How long one signature may take in all."""


@dataclass(frozen=True)
class BsreSigner:
    """An official at a service, for as long as he signs."""

    service: Service
    nik: str = field(repr=False)
    passphrase: str = field(repr=False)

    def sign(self, task: Task) -> bytes:
        """Return the document with the signature added; see ``Signer``."""
        if not NIK.match(self.nik):
            raise errors.DecisionRefusedError("a NIK has 16 digits", hint="type it again; nothing was sent")
        room = pades.places(task.base).get(task.place)
        if room is None:
            raise errors.DecisionRefusedError(f"the document keeps no room for this signature ({task.place})")
        body = {
            "nik": self.nik,
            "passphrase": self.passphrase,
            "signatureProperties": [{**_look(task), **self._where(task.base, room)}],
            "file": [base64.b64encode(task.base).decode("ascii")],
        }
        most = (len(task.base) + pades.MOST_ADDED) * 4 // 3 + 10_000
        return _signed(self._asked(json.dumps(body).encode(), most))

    def _where(self, pdf: bytes, room: pades.Place) -> dict[str, Any]:
        left, bottom, right, top = room.box
        # A square for the QR code, at the left of the room; whole points, so that none reaches out of it.
        side = int(min(right - left, top - bottom)) - 1
        height = pades.page_height(pdf, room.page)
        up = int(bottom) + 1
        origin = up if self.service.origin == "bottom" else int(height - up - side)
        return {
            "page": room.page + 1,
            "originX": int(left) + 1,
            "originY": origin,
            "width": side,
            "height": side,
        }

    def _asked(self, body: bytes, most: int) -> tuple[int, bytes]:
        """Return the status and the body of the answer, within its time and its size."""
        until = time.monotonic() + self.service.seconds
        at, seconds = urlsplit(self.service.address), self.service.seconds
        try:
            connection = _connection(at.scheme, at.hostname or "", at.port, seconds)
            try:
                token = base64.b64encode(self.service.credentials.encode()).decode("ascii")
                headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}
                connection.request("POST", at.path.rstrip("/") + SIGN, body, headers)
                # The connection gives it up as soon as the answer begins.
                channel = connection.sock
                with connection.getresponse() as answer:
                    return answer.status, _read(answer, channel, most, until)
            finally:
                connection.close()
        except TimeoutError as error:
            raise errors.DecisionRefusedError(
                f"the e-sign service {self.service.address} did not answer within {seconds:g} seconds",
                hint=_STILL_OPEN,
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise errors.DecisionRefusedError(
                f"the e-sign service {self.service.address} cannot be reached: {error}", hint=_STILL_OPEN
            ) from error


def _connection(scheme: str, host: str, port: int | None, seconds: float) -> http.client.HTTPConnection:
    # No proxy of the environment: the passphrase goes to the service of the office and to nobody else.
    if scheme == "https":
        return http.client.HTTPSConnection(host, port, timeout=seconds, context=ssl.create_default_context())
    return http.client.HTTPConnection(host, port, timeout=seconds)


def _read(answer: http.client.HTTPResponse, channel: socket.socket, most: int, until: float) -> bytes:
    read = bytearray()
    while True:
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        channel.settimeout(left)
        chunk = answer.read1(_CHUNK)
        if not chunk:
            return bytes(read)
        read += chunk
        if len(read) > most:
            raise errors.DecisionRefusedError(
                f"the e-sign service answered with more than {most} bytes; the answer was dropped",
                hint=_STILL_OPEN,
            )


def _look(task: Task) -> dict[str, Any]:
    import segno  # noqa: PLC0415

    drawn = io.BytesIO()
    segno.make(task.code, error="m", micro=False).save(drawn, kind="png", scale=6, border=1)
    picture = base64.b64encode(drawn.getvalue()).decode("ascii")
    about = {"location": task.location, "reason": task.reason, "contactInfo": ""}
    return {"tampilan": "VISIBLE", "imageBase64": picture, **about}


def _signed(answer: tuple[int, bytes]) -> bytes:
    """Return the PDF out of an answer, or tell what the service says went wrong."""
    status, body = answer
    try:
        said = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise errors.DecisionRefusedError(
            f"the e-sign service answered {status} with what is no JSON", hint=_STILL_OPEN
        ) from error
    if status != http.client.OK or not isinstance(said, dict) or "file" not in said:
        raise _refusal(status, said if isinstance(said, dict) else {})
    try:
        (encoded,) = said["file"]
        pdf = base64.b64decode(encoded, validate=True)
    except (ValueError, TypeError) as error:
        raise errors.DecisionRefusedError(
            "the e-sign service answered with something else than one document", hint=_STILL_OPEN
        ) from error
    if not pdf.startswith(_PDF):
        raise errors.DecisionRefusedError("the e-sign service answered with no PDF", hint=_STILL_OPEN)
    return pdf


def _refusal(status: int, said: dict[str, Any]) -> errors.DecisionRefusedError:
    # The service's own words: text of a stranger, shown in one line.
    words = display(str(said.get("error") or said.get("message") or "it gave no reason"), longest=_SHOWN)
    code = said.get("status_code")
    if code == _WRONG_PASSPHRASE:
        return errors.DecisionRefusedError(
            "the e-sign service refuses the passphrase", hint="type it again; nothing was recorded"
        )
    if code == _UNKNOWN_SIGNER:
        return errors.DecisionRefusedError(
            "the e-sign service knows nobody with this NIK", hint="type it again; nothing was recorded"
        )
    if status in {http.client.UNAUTHORIZED, http.client.FORBIDDEN}:
        return errors.DecisionRefusedError(
            f"the e-sign service does not know this office ({status}): {words}",
            hint="mend the credentials beside office.yml",
        )
    return errors.DecisionRefusedError(f"the e-sign service refuses ({status}): {words}", hint=_STILL_OPEN)
