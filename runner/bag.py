"""The BagIt 1.0 form (RFC 8493) of an archive: what its tag files hold, and how manifests are read.

One form only: the same run gives the same bytes. Manifests are what ``sha256sum`` writes and checks,
sorted by path; paths need no escaping, because ``runner.tree`` refuses names that would.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from zoneinfo import ZoneInfo

from runner import errors
from runner.canonical import canonical_json, sha256_hex
from runner.display import display
from runner.journal import Event
from runner.sop import Sop

Fate = Literal["inaktif", "musnah", "serah", "simpan"]
"""What was decided about an archive: made inactive, destroyed, handed over as static, kept."""
PAYLOAD = "data"
BAGIT = "bagit.txt"
BAG_INFO = "bag-info.txt"
MANIFEST = "manifest-sha256.txt"
TAG_MANIFEST = "tagmanifest-sha256.txt"
DESCRIPTION = "metadata/arsip.json"
SIGNERS = "trust/arsip.signers"
"""The archive's public keys as of the day of sealing."""
SCRIPT = "verifikasi.sh"
GUIDE = "BACA-SAYA.txt"
TAG_FILES = (GUIDE, BAG_INFO, BAGIT, MANIFEST, DESCRIPTION, SIGNERS, SCRIPT)
"""The files that the tag manifest covers."""
SIGNATURE = f"{TAG_MANIFEST}.sig"
"""The archive's signature over the tag manifest; whoever rewrites the bag cannot make it."""
OWN_FILES = (*TAG_FILES, TAG_MANIFEST, SIGNATURE)
"""What a bag holds beside its payload."""
BAGIT_TEXT = b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"

_ENTRY = re.compile(r"^([0-9a-f]{64})  (\S(?:.*\S)?)\Z")
_INFO = re.compile(r"^([A-Za-z0-9-]+): (\S(?:.*\S)?)\Z")


@dataclass(frozen=True)
class Payload:
    """The recorded files of a run: path in the run folder -> SHA-256, and their sizes together."""

    digests: Mapping[str, str]
    octets: int


def place(run: str, classification: str = "") -> str:
    """Return where the archive of a run stands below the archive's root.

    ``<year>/<classification>/<run id>``, or ``<year>/<run id>`` where the office gives none. The year is that
    in which the office began the run, with which its id begins.
    """
    return "/".join(part for part in (run[:4], classification, run) if part)


@dataclass(frozen=True)
class Enclosed:
    """What a bag holds beside the record: what it says of itself, and what an auditor needs."""

    description: Mapping[str, Any]
    signers: bytes
    script: bytes
    guide: bytes


def tag_files(sop: Sop, events: tuple[Event, ...], payload: Payload, enclosed: Enclosed) -> dict[str, bytes]:
    """Return the content of every tag file of a closed run's bag."""
    files = {
        BAGIT: BAGIT_TEXT,
        BAG_INFO: "".join(f"{k}: {v}\n" for k, v in bag_info(sop, events, payload).items()).encode(),
        MANIFEST: manifest({f"{PAYLOAD}/{path}": digest for path, digest in payload.digests.items()}),
        DESCRIPTION: canonical_json(enclosed.description),
        SIGNERS: enclosed.signers,
        SCRIPT: enclosed.script,
        GUIDE: enclosed.guide,
    }
    return {**files, TAG_MANIFEST: manifest({name: sha256_hex(data) for name, data in files.items()})}


def bag_info(sop: Sop, events: tuple[Event, ...], payload: Payload) -> dict[str, str]:
    """Return what ``bag-info.txt`` says of a closed run, all of it taken from the run's own record."""
    started, last = events[0], events[-1]
    day = last.instant.at.astimezone(ZoneInfo(started["timezone"]))
    info = {
        "Source-Organization": started["office"],
        "External-Identifier": started["run"],
        "External-Description": sop.identity.nama_sop,
        "Bagging-Date": f"{day:%Y-%m-%d}",
        "Payload-Oxum": f"{payload.octets}.{len(payload.digests)}",
        "SOP-Id": sop.id,
        "SOP-File": started["sop"]["name"],
        "SOP-SHA256": started["sop"]["sha256"],
        "Run-Outcome": last["outcome"],
        "Journal-Records": str(last.seq),
        "Journal-Head": last.digest,
        "Rawat-Version": started["versions"].get("rawat", "unknown"),
    }
    return {label: display(" ".join(value.split())) or "-" for label, value in info.items()}


def manifest(digests: Mapping[str, str]) -> bytes:
    """Return a manifest as ``sha256sum`` writes it, sorted by path."""
    return "".join(f"{digests[path]}  {path}\n" for path in sorted(digests)).encode()


def parse_manifest(data: bytes, name: str) -> dict[str, str]:
    """Return path -> SHA-256 of a manifest.

    Raises:
        VerificationError: naming the first line that ``manifest`` would not have written.
    """
    found: dict[str, str] = {}
    before = ""
    for number, line in enumerate(_lines(data, name), start=1):
        entry = _ENTRY.match(line)
        if entry is None:
            raise errors.VerificationError(f"{name}:{number}", "is not '<SHA-256>  <path>'")
        digest, path = entry.groups()
        if path <= before:
            raise errors.VerificationError(f"{name}:{number}", "is a path twice or out of order")
        found[path] = digest
        before = path
    return found


def parse_info(data: bytes, name: str) -> dict[str, str]:
    """Return label -> value of ``bag-info.txt``; each label once, each value on one line.

    Raises:
        VerificationError: naming the first line that is not of this form.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(_lines(data, name), start=1):
        entry = _INFO.match(line)
        if entry is None or entry[1] in found:
            raise errors.VerificationError(f"{name}:{number}", "is not a 'Label: value' of its own")
        found[entry[1]] = entry[2]
    return found


def _lines(data: bytes, name: str) -> list[str]:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise errors.VerificationError(f"{name}:{line}", "is not UTF-8 text") from error
    if not text.endswith("\n"):
        raise errors.VerificationError(name, "the last line is cut off")
    return text.removesuffix("\n").split("\n")
