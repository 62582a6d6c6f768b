"""The lab's file server: package channel, ClamAV mirror and, when asked for, Debian's own archive.

Run by path with `python -I` and one argument, the JSON file of its settings, so it imports nothing
but the standard library. Debian's archive is fetched through the controller and kept on disk, so
hosts need no way out of the lab.
"""

import json
import re
import shutil
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import BinaryIO

# Files of an archive that never change under their name.
UNCHANGING = ("/pool/", "/by-hash/")
HANDLERS = (urllib.request.ProxyHandler, urllib.request.HTTPHandler, urllib.request.HTTPSHandler)
ERROR_HANDLERS = (urllib.request.HTTPDefaultErrorHandler, urllib.request.HTTPErrorProcessor)


class FileHandler(SimpleHTTPRequestHandler):
    """Serves files, and parts of them: freshclam reads the head of a database by Range.

    A line for each answer (who asked, how, for what, the status) goes into FOLDER.requests, where somebody
    has put that file.
    """

    protocol_version = "HTTP/1.1"

    def send_head(self) -> BytesIO | BinaryIO | None:
        """Answer with the whole file, or with the part that was asked for."""
        file = Path(self.translate_path(self.path))
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if asked is None or not file.is_file() or self.has_changed(file):
            return super().send_head()
        content = file.read_bytes()
        first, last = int(asked[1]), min(int(asked[2] or len(content) - 1), len(content) - 1)
        if first > last:
            self.send_error(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)
            return None
        part = content[first : last + 1]
        self.send_response(HTTPStatus.PARTIAL_CONTENT)
        self.send_header("Content-Type", self.guess_type(file))
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(content)}")
        self.send_header("Content-Length", str(len(part)))
        self.send_header("Last-Modified", self.date_time_string(int(file.stat().st_mtime)))
        self.end_headers()
        return BytesIO(part)

    def has_changed(self, file: Path) -> bool:
        """Tell whether a part is asked for of a file as it was once, and is no more: a cache asks so."""
        known = self.headers.get("If-Range")
        return known is not None and known != self.date_time_string(int(file.stat().st_mtime))

    def log_request(self, code: int | str = "-", _size: int | str = "-") -> None:
        """Note an answer, where that is wished for."""
        log = Path(f"{self.directory}.requests")
        if log.exists():
            with log.open("a", encoding="utf-8") as file:
                file.write(f"{self.client_address[0]} {self.command} {self.path} {int(code)}\n")

    def log_message(self, _format: str, *_words: object) -> None:
        """Keep no other log: it would only grow."""


class MirrorServer(ThreadingHTTPServer):
    """Knows the upstream archives, each under the first word of a path, and keeps what it fetched."""

    def __init__(self, address: tuple[str, int], upstreams: dict[str, str], cache: Path) -> None:
        super().__init__(address, MirrorHandler)
        self.upstreams = upstreams
        self.cache = cache
        # Only what an archive can be behind; urllib would also read files and ftp.
        self.opener = urllib.request.OpenerDirector()
        for handler in (*HANDLERS, *ERROR_HANDLERS):
            self.opener.add_handler(handler())

    def bring(self, name: str, rest: str) -> Path:
        """Return a file of an upstream archive, fetched unless it is one that never changes."""
        address = f"{self.upstreams[name].rstrip('/')}/{rest}"
        kept = self.cache / sha256(address.encode()).hexdigest()
        is_unchanging = any(part in f"/{rest}" for part in UNCHANGING)
        if not (is_unchanging and kept.exists()):
            with self.opener.open(address, timeout=60) as answer, NamedTemporaryFile(dir=self.cache) as fresh:
                shutil.copyfileobj(answer, fresh)
                fresh.flush()
                # A file that was cut off must not be kept for ever.
                if fresh.tell() != int(answer.headers.get("Content-Length", fresh.tell())):
                    raise OSError(f"{address} ended early")
                whole = Path(f"{fresh.name}.whole")
                whole.hardlink_to(fresh.name)
                whole.replace(kept)
        return kept


class MirrorHandler(BaseHTTPRequestHandler):
    """Hands on files of upstream archives."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer with a file of an upstream archive."""
        server = self.server
        _, name, rest = (*self.path.split("/", 2), "", "")[:3]
        if not isinstance(server, MirrorServer) or name not in server.upstreams or ".." in rest:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        try:
            content = server.bring(name, rest).open("rb")
        except urllib.error.HTTPError as error:
            self.send_error(error.code)
        except OSError:
            self.send_error(HTTPStatus.BAD_GATEWAY)
        else:
            with content:
                self.send_response(HTTPStatus.OK)
                self.send_header("Content-Length", str(Path(content.name).stat().st_size))
                self.end_headers()
                shutil.copyfileobj(content, self.wfile)

    def log_message(self, _format: str, *_words: object) -> None:
        """Keep no log of requests: it would only grow."""


def run_server(make: Callable[[], ThreadingHTTPServer]) -> None:
    """Make a server and let it answer in a thread of its own."""
    threading.Thread(target=make().serve_forever).start()


def main() -> None:
    """Serve what the settings file says."""
    settings = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    address = settings["address"]
    for port, folder in settings["folders"].items():
        handler = partial(FileHandler, directory=folder)
        run_server(partial(ThreadingHTTPServer, (address, int(port)), handler))
    if settings["upstreams"]:
        cache = Path(settings["cache"])
        cache.mkdir(parents=True, exist_ok=True)
        place = (address, settings["mirror_port"])
        run_server(partial(MirrorServer, place, settings["upstreams"], cache))


if __name__ == "__main__":
    main()
