"""Text that an attacker would have a host say: markup, templates, formulas, what steers a terminal."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager

CANARY = "http://127.0.0.1:{port}/canary"

_MARKUP = [
    "<script>alert(1)</script>",
    "<ScRiPt src={canary}></sCrIpT>",
    "<img src={canary} onerror=alert(1)>",
    "<svg onload=alert(1)><image href={canary} /></svg>",
    "<svg><script>alert(1)</script></svg>",
    "<iframe src='{canary}'></iframe>",
    "<object data={canary}></object>",
    "<embed src={canary}>",
    "<link rel=attachment href=file:///etc/passwd>",
    "<link rel=stylesheet href={canary}>",
    "<a rel=attachment href=file:///etc/shadow>x</a>",
    "<a href='javascript:alert(1)'>x</a>",
    "<style>*{{background:url({canary})}}</style>",
    "<style>@import url({canary});</style>",
    "<p style=\"background:url('{canary}')\">",
    "<base href={canary}>",
    "<meta http-equiv=refresh content='0;url={canary}'>",
    "<form action={canary}><input autofocus onfocus=alert(1)>",
    "</title><script>alert(1)</script>",
    "</style></head><body><h1>forged</h1>",
    "</td></tr></table><table><tr><td>forged",
    "<!-- --><b>x</b><!--",
    "<![CDATA[<b>x</b>]]>",
    "<?xml version='1.0'?><!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><x>&e;</x>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "&#60;script&#62;",
    "&amp;&quot;&#x27;",
    "<math><mi xlink:href='data:x,<script>alert(1)</script>'>",
    "<video><source onerror=alert(1) src={canary}></video>",
    "<details open ontoggle=alert(1)>",
    "<b/**/onmouseover=alert(1)>x",
    '<img src="data:text/html,<script>alert(1)</script>">',
]
_TEMPLATES = [
    "{{{{1357*911}}}}",
    "{{% raise %}}",
    "{{% for x in range(9) %}}forged{{% endfor %}}",
    "{{# x #}}",
    "${{1357*911}}",
    "#{{1357*911}}",
    "<%= 1357*911 %>",
    "{{{{ ''.__class__.__mro__ }}}}",
    "{{{{ lookup('pipe', 'id') }}}}",
    "%(forged)s %s {{0}}",
    "[bold red]x[/bold red]",
    "[link={canary}]x[/link]",
    "[/]",
    ":warning:",
]
_FORMULAS = [
    "=cmd|'/c calc'!A1",
    "+1+1",
    "-1+1",
    "@SUM(1)",
    '=HYPERLINK("{canary}")',
    "\t=1+1",
    "=1+1\n",
]
_TERMINAL = [
    "\x1b[2J\x1b[H",
    "\x1b]0;forged\x07",
    "\x1b]8;;{canary}\x1b\\x\x1b]8;;\x1b\\",
    "\x1b]52;c;Zm9yZ2Vk\x07",
    "\x1b[31mok\x1b[0m",
    "\x1b[1A\x1b[2Kok",
    "\x1b[6n",
    "\x1bP+q544e\x1b\\",
    "\x1b_forged\x1b\\",
    "\x1b^forged\x1b\\",
    "\x1b[?1049h",
    "\x1b[8m",
    "\x1b(0",
    "\x1bc",
    "\x9b31mok",
    "\x9d52;c;Zm9yZ2Vk\x9c",
    "failed\rok    ",
    "failed\b\b\b\b\b\bok    ",
]
_UNSEEN = [
    *(chr(point) for point in range(0x20)),
    *(chr(point) for point in range(0x7F, 0xA0)),
    *("\u061c\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2061\u2062\u2063\u2064"),
    *("\u2066\u2067\u2068\u2069\u206a\u206f\ufeff\u00ad\u180e\u2028\u2029\ufff9\ufffb\uffff\ufffe"),
    *("\u115f\u1160\u3164\uffa0\u2800\ue000\U000e0001\U000e0041\U0001d173\udc80"),
]
_AROUND = [
    "web1{}",
    "{}\n",
    "\"{}'",
    "x\u202e{}\u202c",
    "lib{}1.0-1+deb12u1",
]


def payloads(port: int = 9) -> list[str]:
    """Return the corpus; addresses in it lead to a port of this machine."""
    canary = CANARY.format(port=port)
    written = [text.format(canary=canary) for text in (*_MARKUP, *_TEMPLATES)]
    plain = [text.replace("{canary}", canary) for text in (*_FORMULAS, *_TERMINAL)]
    alone = [*written, *plain, *(f"a{character}b" for character in _UNSEEN)]
    around = [form.replace("{}", text) for text in (*written, *plain) for form in _AROUND]
    return [*alone, *around]


@contextmanager
def canary() -> Iterator[tuple[int, list[str]]]:
    """Give a web server's port, and the list of what was asked of it meanwhile."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1], asked
    finally:
        server.shutdown()
        server.server_close()
