"""An e-sign service as public client code of BSrE's shows it, on this machine: records what it is asked."""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from certificates import PASSPHRASE, stamp
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import fields, signers
from pyhanko.stamp import StaticStampStyle

from runner.signers.pkcs12 import Pkcs12Signer

# No NIK that ends in zeros: a PDF fills up the room of a signature with them, and one signature in 256 ends
# in the byte 33; 33000… then looked as if it had been kept.
NIK, SECRET = "9876543210123456", "kata sandi BSrE"
CREDENTIALS = "esign:rahasia kantor"
Answer = tuple[int, bytes]


@dataclass
class Asked:
    """One request: its path, its headers and what its JSON says."""

    path: str
    headers: dict[str, str]
    said: dict[str, Any]


@dataclass
class EsignService:
    """Answers as the real one does; a test may have it answer otherwise."""

    certificate: Path
    asked: list[Asked] = field(default_factory=list)
    answer: Callable[[Asked], Answer] | None = None
    slowly: float = 0.0
    """Seconds between the bytes of an answer."""
    address: str = ""

    def reply(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        if self.answer is not None:
            return self.answer(asked)
        expected = base64.b64encode(CREDENTIALS.encode()).decode()
        if asked.headers.get("Authorization") != f"Basic {expected}":
            return 401, json.dumps({"error": "Unauthorized", "status": 401}).encode()
        if asked.said["nik"] != NIK:
            return 400, json.dumps({"error": "User tidak terdaftar", "status_code": 2011}).encode()
        if asked.said["passphrase"] != SECRET:
            failed = {"error": "Proses signing gagal : Passphrase anda salah", "status_code": 2031}
            return 400, json.dumps(failed).encode()
        return 200, json.dumps({"time": 1210, "file": [self.signed(asked.said)]}).encode()

    def signed(self, said: dict[str, Any]) -> str:
        """Sign as a service does that knows nothing of our rooms: a field of its own where it was told."""
        (encoded,), (look,) = said["file"], said["signatureProperties"]
        box = (look["originX"], look["originY"])
        box = (*box, box[0] + look["width"], box[1] + look["height"])
        pdf = base64.b64decode(encoded)
        writer = IncrementalPdfFileWriter(io.BytesIO(pdf))
        name = f"Signature{len(writer.prev.embedded_signatures) + 1}"
        about = signers.PdfSignatureMetadata(
            field_name=name, reason=look["reason"], location=look["location"]
        )
        drawn = self.certificate.with_suffix(".stamp")
        drawn.write_bytes(stamp())
        made = signers.PdfSigner(
            about,
            Pkcs12Signer.opened(self.certificate, PASSPHRASE)._signer(),
            stamp_style=StaticStampStyle.from_pdf_file(str(drawn), border_width=0),
            new_field_spec=fields.SigFieldSpec(name, on_page=look["page"] - 1, box=box),
        ).sign_pdf(writer)
        return base64.b64encode(made.getvalue()).decode()


@contextmanager
def served(service: EsignService) -> Iterator[EsignService]:
    """Run the service on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, answer = service.reply(Asked(self.path, dict(self.headers.items()), json.loads(body)))
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            # Who asked may have given up.
            with suppress(BrokenPipeError, ConnectionResetError):
                self._send(answer)

        def _send(self, answer: bytes) -> None:
            if not service.slowly:
                self.wfile.write(answer)
                return
            for byte in answer:
                time.sleep(service.slowly)
                self.wfile.write(bytes([byte]))

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    service.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()
