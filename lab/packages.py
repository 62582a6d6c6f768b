"""The lab's own Debian packages: each has one way to behave after an update.

Built with dpkg-deb from the text in this file, the same bytes every time. Version 1.0-1 is what the
hosts come with; 1.0-1+deb12u1 is what the channel offers.
"""

from __future__ import annotations

import gzip
import textwrap
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from lab.command import run
from lab.errors import ImpossibleHereError

OLD = "1.0-1"
NEW = "1.0-1+deb12u1"
# One instant for every file, so that a package built again has the same digest.
BUILT_AT = 1767225600
BUILT_ON = "Thu, 01 Jan 2026 00:00:00 +0000"
MAINTAINER = "Rawat Lab <lab@example.invalid>"


@dataclass(frozen=True)
class Recipe:
    """A package: what it is for, what it serves, and what its update does."""

    name: str
    summary: str
    fixes: str
    port: int = 0
    status_after: int = 200
    crashes_after: bool = False
    postinst_after: str = ""
    depends_after: str = ""
    only_new: bool = False
    suite: str = "lab-security"


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("lab-good", "service that stays good", "CVE-2099-1001 CVE-2099-1002", port=8090),
        Recipe(
            "lab-sick",
            "service that answers 500 after its update while its unit stays active",
            "CVE-2099-1003",
            port=8091,
            status_after=500,
        ),
        Recipe(
            "lab-crash",
            "service that ends at once after its update",
            "CVE-2099-1004",
            port=8092,
            crashes_after=True,
        ),
        Recipe(
            "lab-postinst",
            "package whose update fails half-configured",
            "CVE-2099-1005",
            postinst_after="echo 'lab-postinst: this update fails on purpose' >&2\nexit 3",
        ),
        Recipe(
            "lab-reboot",
            "package whose update asks for a reboot",
            "CVE-2099-1006",
            postinst_after=(
                "touch /run/reboot-required\n"
                "grep -qx lab-reboot /run/reboot-required.pkgs 2>/dev/null ||"
                " echo lab-reboot >> /run/reboot-required.pkgs"
            ),
        ),
        Recipe(
            "lab-newdep",
            "package whose update needs a package that is not installed",
            "CVE-2099-1007",
            depends_after="lab-dep",
        ),
        Recipe("lab-dep", "what the update of lab-newdep needs", "", only_new=True),
        Recipe("lab-tool", "program whose update fixes no vulnerability", "", suite="lab-updates"),
    )
}

SERVICE = """\
#!/usr/bin/python3
import os
import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        body = b"{name} {version}\\n"
        self.send_response({status})
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass


server = ThreadingHTTPServer(("0.0.0.0", {port}), Answer)
# Only now does systemd call the service started.
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
    told.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
server.serve_forever()
"""

CRASHING_SERVICE = """\
#!/usr/bin/python3
raise SystemExit("{name} {version}: ends at once, on purpose")
"""

UNIT = """\
[Unit]
Description={name}: {summary}
After=network.target

[Service]
Type=notify
ExecStart=/usr/lib/{name}/serve
User=daemon
Restart=no

[Install]
WantedBy=multi-user.target
"""

START = """\
systemctl --quiet enable {name}.service
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    systemctl restart {name}.service || true
fi
"""

STOP = """\
#!/bin/sh
set -e
if [ "$1" = remove ]; then
    if [ -d /run/systemd/system ]; then
        systemctl stop {name}.service || true
    fi
    systemctl --quiet disable {name}.service
fi
"""

PROGRAM = """\
#!/bin/sh
echo "{name} {version}"
"""


def recipe_of(package: str) -> Recipe:
    """Return a package's recipe. Raises ImpossibleHereError when there is none."""
    if package not in RECIPES:
        raise ImpossibleHereError(f"the lab has no package {package}", "choose one of: " + ", ".join(RECIPES))
    return RECIPES[package]


def build_package(recipe: Recipe, version: str, folder: Path) -> Path:
    """Build one package into `folder` and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{recipe.name}_{version}_all.deb"
    with TemporaryDirectory(prefix="rawat-lab-") as top:
        tree = Path(top) / "tree"
        for path, text in package_files(recipe, version).items():
            place = tree / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, encoding="utf-8")
            is_program = path.startswith("usr/") or path in ("DEBIAN/postinst", "DEBIAN/prerm")
            place.chmod(0o755 if is_program else 0o644)
        notes = tree / f"usr/share/doc/{recipe.name}/changelog.Debian.gz"
        notes.parent.mkdir(parents=True)
        notes.write_bytes(gzip.compress(changelog(recipe, version).encode(), mtime=BUILT_AT))
        for folder_in_tree in [tree, *(path for path in tree.rglob("*") if path.is_dir())]:
            folder_in_tree.chmod(0o755)
        notes.chmod(0o644)
        run(
            ["dpkg-deb", "--root-owner-group", "-Zgzip", "--build", tree, target],
            extra_env={"SOURCE_DATE_EPOCH": str(BUILT_AT)},
        )
    target.chmod(0o644)
    return target


def package_files(recipe: Recipe, version: str) -> dict[str, str]:
    """Return the text files of a package by path."""
    name, is_new = recipe.name, version != OLD
    files = {"DEBIAN/control": control(recipe, version)}
    postinst = ""
    if recipe.port:
        is_crashing = recipe.crashes_after and is_new
        files[f"usr/lib/{name}/serve"] = (CRASHING_SERVICE if is_crashing else SERVICE).format(
            name=name,
            version=version,
            port=recipe.port,
            status=recipe.status_after if is_new else 200,
        )
        files[f"lib/systemd/system/{name}.service"] = UNIT.format(name=name, summary=recipe.summary)
        files["DEBIAN/prerm"] = STOP.format(name=name)
        postinst += START.format(name=name)
    else:
        files[f"usr/bin/{name}"] = PROGRAM.format(name=name, version=version)
    if is_new and recipe.postinst_after:
        postinst += recipe.postinst_after + "\n"
    if postinst:
        body = textwrap.indent(postinst, "    ")
        files["DEBIAN/postinst"] = f'#!/bin/sh\nset -e\nif [ "$1" = configure ]; then\n{body}fi\n'
    return files


def control(recipe: Recipe, version: str) -> str:
    """Return a package's control file."""
    depends = ["python3"] if recipe.port else []
    if version != OLD and recipe.depends_after:
        depends.append(recipe.depends_after)
    fields = {
        "Package": recipe.name,
        "Version": version,
        "Architecture": "all",
        "Maintainer": MAINTAINER,
        "Section": "misc",
        "Priority": "optional",
        "Depends": ", ".join(depends),
        "Description": f"lab: {recipe.summary}",
    }
    return "".join(f"{key}: {value}\n" for key, value in fields.items() if value)


def changelog(recipe: Recipe, version: str) -> str:
    """Return a package's Debian changelog, the newest entry first."""
    entries = [] if recipe.only_new else [entry(recipe, OLD, "First version.", "lab")]
    if version != OLD:
        fixed = f"Security update: {recipe.fixes}." if recipe.fixes else "New version."
        entries.insert(0, entry(recipe, NEW, fixed, recipe.suite))
    if version not in (OLD, NEW):
        entries.insert(0, entry(recipe, version, "Published later.", recipe.suite))
    return "\n".join(entries)


def entry(recipe: Recipe, version: str, text: str, suite: str) -> str:
    """Return one entry of a changelog."""
    return (
        f"{recipe.name} ({version}) {suite}; urgency=medium\n\n  * {text}\n\n -- {MAINTAINER}  {BUILT_ON}\n"
    )
