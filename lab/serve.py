"""The lab's file server: package channel, ClamAV mirror and, when asked for, Debian's own archive.

Run by path with `python -I` and one argument, the JSON file of its settings, so it imports nothing
but the standard library. Debian's archive is fetched through the controller and kept on disk, so
hosts need no way out of the lab.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import threading
import urllib.error
import urllib.request
from functools import partial
from hashlib import sha256
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedReader, BytesIO
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

UNCHANGING = ("/pool/", "/by-hash/")


class FileHandler(SimpleHTTPRequestHandler):
    """Serves files, and parts of them: freshclam reads the head of a database by Range."""

    protocol_version = "HTTP/1.1"

    def send_head(self) -> BytesIO | BufferedReader | None:
        path = self.translate_path(self.path)
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if asked is None or not os.path.isfile(path):
            return super().send_head()
        size = os.path.getsize(path)
        first, last = int(asked[1]), min(int(asked[2] or size - 1), size - 1)
        if first > last:
            self.send_error(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            return None
        with open(path, "rb") as file:
            file.seek(first)
            part = file.read(last - first + 1)
        self.send_response(HTTPStatus.PARTIAL_CONTENT)
        self.send_header("Content-Type", self.guess_type(path))
        self.send_header("Content-Range", f"bytes {first}-{last}/{size}")
        self.send_header("Content-Length", str(len(part)))
        self.send_header("Last-Modified", self.date_time_string(int(os.path.getmtime(path))))
        self.end_headers()
        return BytesIO(part)

    def list_directory(self, path: Any) -> None:
        self.send_error(HTTPStatus.NOT_FOUND)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class MirrorHandler(BaseHTTPRequestHandler):
    """Hands on files of upstream archives, each under the first word of the path."""

    protocol_version = "HTTP/1.1"

    def __init__(self, *args: Any, upstreams: dict[str, str], cache: Path) -> None:
        self.upstreams = upstreams
        self.cache = cache
        super().__init__(*args)

    def do_GET(self) -> None:
        _, name, rest = (*self.path.split("/", 2), "", "")[:3]
        if name not in self.upstreams or ".." in rest:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        address = self.upstreams[name].rstrip("/") + "/" + rest
        is_kept = any(part in f"/{rest}" for part in UNCHANGING)
        kept = self.cache / sha256(address.encode()).hexdigest()
        try:
            if not (is_kept and kept.exists()):
                self.fetch(address, kept)
            self.answer(kept)
        except urllib.error.HTTPError as error:
            self.send_error(error.code)
        except OSError as error:
            self.send_error(HTTPStatus.BAD_GATEWAY, str(error))

    def fetch(self, address: str, target: Path) -> None:
        with (
            urllib.request.urlopen(address, timeout=60) as answer,
            NamedTemporaryFile(dir=self.cache, delete=False) as file,
        ):
            shutil.copyfileobj(answer, file)
        os.replace(file.name, target)

    def answer(self, file: Path) -> None:
        with open(file, "rb") as content:
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Length", str(os.fstat(content.fileno()).st_size))
            self.end_headers()
            shutil.copyfileobj(content, self.wfile)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def start(address: str, port: int, handler: Any) -> None:
    server = ThreadingHTTPServer((address, port), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever).start()


def main() -> None:
    settings = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    for port, folder in settings["folders"].items():
        start(settings["address"], int(port), partial(FileHandler, directory=folder))
    if settings["upstreams"]:
        cache = Path(settings["cache"])
        cache.mkdir(parents=True, exist_ok=True)
        handler = partial(MirrorHandler, upstreams=settings["upstreams"], cache=cache)
        start(settings["address"], int(settings["mirror_port"]), handler)


if __name__ == "__main__":
    main()
