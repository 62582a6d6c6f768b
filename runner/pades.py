"""Judges the electronic signature of an official that was added to a document known byte for byte.

A signed file begins with the whole file that was signed, and one signature more stands behind it. So nothing
that was signed before can have changed, and what is judged is only what was added:

1. It is one signature, it covers the whole file, and it fits what it covers.
2. Its certificate was good at that moment, comes from the office's own authorities, and names the official.
3. Nothing of the document was replaced but where signatures are told, and nothing was drawn but in the rooms
   that the layout keeps for them. That is asked of the changed objects themselves: a comparison of whole
   documents, as libraries make it, was measured at minutes for a tagged report of ten pages.
4. The signatures before it are still whole.

Reads only; asks no network. pyHanko is an optional part: only an office that signs so needs it.
"""

from __future__ import annotations

import importlib.util
import io
import logging
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from runner import errors
from runner.canonical import sha256_hex
from runner.display import display

if TYPE_CHECKING:
    from pyhanko.pdf_utils.reader import PdfFileReader

PIECE = "Rawat"
"""Whose private data the rooms for signatures are, in a document (as ``runner.pdf_worker`` writes it)."""
MOST_ADDED = 4_000_000
"""Bytes that one signature may add: certificates, the stamp with its letters; it is some ten thousand."""
_TOLERANCE = 1.5
"""Points by which a stamp may lie beside its room: some services count in whole points."""
_CATALOG = {"/AcroForm", "/Perms", "/Extensions", "/Version", "/DSS"}
_FORM = {"/Fields", "/SigFlags", "/DR", "/DA"}
_FIELD = {"/V", "/AP", "/MK", "/M", "/F", "/Lock"}
# A service that signs may name itself, and tell when.
_INFO = {"/ModDate", "/Producer"}
_METADATA = {"stream", "/Length", "/Filter", "/DecodeParms"}
_CLAIM = re.compile(rb"pdfaid:((?:part|conformance)(?:=\"|>)[^\"<]+)")
_INSTALL = "install it: .venv/bin/python -m pip install --editable '.[pades]'"
# What a damaged or hostile file makes a parser do; every such file is refused.
_BROKEN = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    RecursionError,
    NotImplementedError,
    OSError,
)


class UnsoundError(Exception):
    """A signature is not what it should be; the message says why."""


@dataclass(frozen=True)
class Place:
    """The room for a signature: page from 0, then left, bottom, right and top in points."""

    page: int
    box: tuple[float, float, float, float]


@dataclass(frozen=True)
class Trust:
    """Whom the office trusts to say who somebody is: certificates in PEM, its roots and what is between."""

    authorities: bytes


@dataclass(frozen=True)
class Expected:
    """The signature that was due: at which place, of whom as certificates name him, and when it was made."""

    place: str
    name: str
    moment: datetime


@dataclass(frozen=True)
class Judged:
    """A sound signature: its certificate's SHA-256 in DER, and until when that was good."""

    certificate: str
    good_until: datetime


def require_installed(asked_by: str) -> None:
    """Raise InputError when pyHanko is not installed; ``asked_by`` says what needs it."""
    if importlib.util.find_spec("pyhanko") is None:
        raise errors.InputError(f"{asked_by} needs pyHanko, which is not installed", hint=_INSTALL)


def opened(pdf: bytes) -> PdfFileReader:
    """Return a reader of a PDF.

    Raises:
        UnsoundError: when it is none.
    """
    # Imported here: this module is known to offices that have no pyHanko.
    from pyhanko.pdf_utils.misc import PdfError  # noqa: PLC0415
    from pyhanko.pdf_utils.reader import PdfFileReader  # noqa: PLC0415

    for name in ("pyhanko", "pyhanko_certvalidator"):
        # What is wrong is told by us, in one line.
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    try:
        reader = PdfFileReader(io.BytesIO(pdf))
        _ = reader.root, reader.embedded_signatures
    except (PdfError, *_BROKEN) as error:
        raise UnsoundError(f"is not a PDF that can be read: {error}") from error
    return reader


def places(pdf: bytes) -> dict[str, Place]:
    """Return the rooms that the layout of a document keeps for signatures, by their ids.

    Raises:
        UnsoundError: when it cannot be read.
    """
    try:
        return _places(opened(pdf))
    except _BROKEN as error:
        raise UnsoundError("does not say in a readable way where signatures go") from error


def _places(reader: PdfFileReader) -> dict[str, Place]:
    try:
        told = reader.root["/PieceInfo"][f"/{PIECE}"]["/Private"]
    except KeyError:
        return {}
    found = {}
    for name, room in told.items():
        page, *box = (float(side) for side in room)
        left, bottom, right, top = box
        found[str(name).removeprefix("/")] = Place(int(page), (left, bottom, right, top))
    return found


def judge(base: bytes, signed: bytes, expected: Expected, trust: Trust) -> Judged:
    """Judge the one signature that ``signed`` has more than ``base``.

    Raises:
        UnsoundError: naming the first thing that is wrong with it.
    """
    if not signed.startswith(base):
        raise UnsoundError("does not begin with the document that was to be signed")
    if len(signed) - len(base) > MOST_ADDED:
        raise UnsoundError(
            f"has {len(signed) - len(base)} bytes more than the document that was to be signed"
        )
    before, after = opened(base), opened(signed)
    try:
        return _judged(before, after, expected, trust)
    except UnsoundError:
        raise
    except _BROKEN as error:
        raise UnsoundError(f"cannot be judged: {error}") from error


def _judged(before: PdfFileReader, after: PdfFileReader, expected: Expected, trust: Trust) -> Judged:
    from pyhanko.pdf_utils.misc import PdfError  # noqa: PLC0415
    from pyhanko.sign.validation.errors import SignatureValidationError  # noqa: PLC0415
    from pyhanko.sign.validation.status import SignatureCoverageLevel  # noqa: PLC0415

    known, found = len(before.embedded_signatures), after.embedded_signatures
    if len(found) != known + 1:
        raise UnsoundError(f"holds {len(found)} signatures, and {known + 1} were to be there")
    try:
        own, *others = (_status(one, trust, expected.moment) for one in (found[-1], *found[:-1]))
        _require_only_signed(before, after, expected.place)
    except (PdfError, SignatureValidationError) as error:
        raise UnsoundError(f"cannot be judged: {error}") from error
    if own.coverage != SignatureCoverageLevel.ENTIRE_FILE:
        raise UnsoundError("its last signature covers only a part of the file")
    for number, status in enumerate((*others, own), start=1):
        if not (status.intact and status.valid):
            raise UnsoundError(f"signature {number} does not fit the document: one of them was changed")
        if status.coverage < SignatureCoverageLevel.ENTIRE_REVISION:
            raise UnsoundError(f"signature {number} covers only a part of what was there when it was made")
    certificate = own.signing_cert
    _require_trusted(certificate, own, expected)
    until: datetime = certificate["tbs_certificate"]["validity"]["not_after"].native
    return Judged(sha256_hex(certificate.dump()), until)


def _status(signature: Any, trust: Trust, moment: datetime) -> Any:  # noqa: ANN401 - pyHanko's own
    from pyhanko.sign.validation import KeyUsageConstraints, validate_pdf_signature  # noqa: PLC0415
    from pyhanko_certvalidator import ValidationContext  # noqa: PLC0415

    roots, between = _authorities(trust)
    context = ValidationContext(
        trust_roots=roots,
        other_certs=between,
        moment=moment,
        allow_fetching=False,
        revocation_mode="soft-fail",
    )
    usage = KeyUsageConstraints(
        key_usage={"digital_signature", "non_repudiation"}, match_all_key_usages=False
    )
    # What was added is looked at in _require_only_signed.
    return validate_pdf_signature(signature, context, key_usage_settings=usage, skip_diff=True)


def _authorities(trust: Trust) -> tuple[list[Any], list[Any]]:
    """Return the certificates that sign themselves, and the others."""
    from pyhanko.keys import load_certs_from_pemder_data  # noqa: PLC0415

    every = list(load_certs_from_pemder_data(trust.authorities))
    roots = [one for one in every if one.self_signed != "no"]
    return roots or every, [one for one in every if one not in roots]


def require_authorities(pem: bytes, where: str) -> None:
    """Raise InputError unless a file holds certificates of authorities in PEM."""
    try:
        found = pem.startswith(b"-----BEGIN") and any(_authorities(Trust(pem)))
    except _BROKEN:
        found = False
    if not found or b"PRIVATE KEY" in pem:
        raise errors.InputError(
            f"{where}: is no list of certificates in PEM",
            hint="put there the certificates of the authorities that issued those of your officials",
        )


def _require_trusted(certificate: Any, status: Any, expected: Expected) -> None:  # noqa: ANN401 - pyHanko's own
    validity = certificate["tbs_certificate"]["validity"]
    begins, ends = validity["not_before"].native, validity["not_after"].native
    if not begins <= expected.moment <= ends:
        raise UnsoundError(
            f"the certificate of the signature is good from {begins:%Y-%m-%d} to {ends:%Y-%m-%d}, "
            f"not on {expected.moment:%Y-%m-%d}"
        )
    if not status.trusted:
        raise UnsoundError("the certificate of the signature is not from an authority that the office names")
    if not status.bottom_line:
        raise UnsoundError("the signature does not hold as a whole")
    name = certificate_name(certificate)
    if _plain(name) != _plain(expected.name):
        raise UnsoundError(f"is signed by {display(name)!r}, and {expected.name!r} was to sign")


def certificate_name(certificate: Any) -> str:  # noqa: ANN401 - asn1crypto's own
    """Return whom a certificate names: its common name."""
    names = certificate.subject.native.get("common_name", "")
    return names if isinstance(names, str) else " / ".join(names)


def _plain(name: str) -> str:
    return " ".join(name.split()).casefold()


# What was added ------------------------------------------------------------------------------------


def _require_only_signed(before: PdfFileReader, after: PdfFileReader, place: str) -> None:
    """Require that nothing was replaced but where signatures are told, nothing drawn but in their rooms."""
    rooms = _places(before)
    if place not in rooms:
        raise UnsoundError(f"the document keeps no room for this signature ({place})")
    if _number(before.root_ref) != _number(after.root_ref):
        raise UnsoundError("another document was put in its place")
    pages = {_number(_page(before, room.page)) for room in rooms.values()}
    for number in sorted(_changed(before, after)):
        old, new = _object(before, number), _object(after, number)
        differing = {key for key in {*old, *new} if old.get(key) != new.get(key)}
        wrong = differing - _changeable(before, number, pages)
        if wrong:
            raise UnsoundError(f"object {number} of the document was changed ({min(wrong) or 'all of it'})")
    if _claims(before) != _claims(after):
        raise UnsoundError("the document does not claim to be PDF/A any more, as it did")
    if "/XFA" in after.root["/AcroForm"] or any(
        str(_entry(field, "/FT", "")) != "/Sig" for field in _fields(after)
    ):
        raise UnsoundError("fields were added that are no signatures")
    for page in sorted({room.page for room in rooms.values()}):
        _require_in_rooms(before, after, page, [room for room in rooms.values() if room.page == page])


def _changeable(before: PdfFileReader, number: int, pages: set[int]) -> set[str]:
    """Return the entries of an object in which signatures are told."""
    if number == _number(before.root_ref):
        return _CATALOG
    if number in pages:
        return {"/Annots"}
    if number == _form_number(before):
        return _FORM
    if number == _reference(before.trailer, "/Info"):
        return _INFO
    if number == _reference(before.root, "/Metadata"):
        # What they still claim is held against what they claimed before.
        return _METADATA
    return _FIELD if _is_field(before, number) else set()


def _require_in_rooms(before: PdfFileReader, after: PdfFileReader, page: int, rooms: list[Place]) -> None:
    earlier = [_text(item) for item in _annotations(before, page)]
    now = _annotations(after, page)
    if [_text(item) for item in now[: len(earlier)]] != earlier:
        raise UnsoundError(f"notes on page {page + 1} were taken away")
    for item in now[len(earlier) :]:
        widget = item.get_object()
        if str(_entry(widget, "/Subtype", "")) != "/Widget" or {"/A", "/AA"} & set(widget):
            raise UnsoundError(f"something was put on page {page + 1} that is no signature")
        box = [float(side) for side in widget["/Rect"]]
        shown = any(side for side in box)
        if shown and not any(_inside(box, room.box) for room in rooms):
            raise UnsoundError(f"a stamp on page {page + 1} is not in the room that is kept for it")


def _inside(box: list[float], room: tuple[float, float, float, float]) -> bool:
    left, bottom, right, top = box
    beyond = (room[0] - left, room[1] - bottom, right - room[2], top - room[3])
    return all(by <= _TOLERANCE for by in beyond) and left <= right and bottom <= top


def _changed(before: PdfFileReader, after: PdfFileReader) -> set[int]:
    """Return the numbers of the objects that were there and are told anew, or are no more."""
    known = {ref.idnum for ref in _told(before, range(before.total_revisions))}
    added = range(before.total_revisions, after.total_revisions)
    freed = {ref.idnum for revision in added for ref in after.xrefs.refs_freed_in_revision(revision)}
    if freed & known:
        raise UnsoundError(f"object {min(freed & known)} of the document was removed")
    return known & {ref.idnum for ref in _told(after, added)}


def _told(reader: PdfFileReader, revisions: Iterable[int]) -> Iterator[Any]:
    for revision in revisions:
        yield from reader.xrefs.explicit_refs_in_revision(revision)


def _object(reader: PdfFileReader, number: int) -> dict[str, bytes]:
    """Return an object as its entries are written; one that is no dictionary has one entry."""
    from pyhanko.pdf_utils import generic  # noqa: PLC0415

    found = reader.get_object(generic.Reference(number, 0, reader))
    if isinstance(found, generic.DictionaryObject):
        entries = {str(key): _text(found.raw_get(key)) for key in found}
        return {**entries, **({"stream": found.data} if isinstance(found, generic.StreamObject) else {})}
    return {"": _text(found)}


def _text(item: Any) -> bytes:  # noqa: ANN401 - any object of a PDF
    written = io.BytesIO()
    item.write_to_stream(written, None)
    return written.getvalue()


def _page(reader: PdfFileReader, page: int) -> Any:  # noqa: ANN401 - pyHanko's own
    found, _ = reader.find_page_for_modification(page)
    return found


def _number(reference: Any) -> int:  # noqa: ANN401 - pyHanko's own
    return int(reference.idnum)


def _annotations(reader: PdfFileReader, page: int) -> list[Any]:
    """Return the references of what stands on a page beside its content."""
    annotations = _entry(_page(reader, page).get_object(), "/Annots", ())
    return [annotations.raw_get(number) for number in range(len(annotations))]


def _form_number(reader: PdfFileReader) -> int | None:
    """Return the number of the object that holds the form's fields, None when there is none of its own."""
    return _reference(reader.root, "/AcroForm")


def _reference(dictionary: Any, key: str) -> int | None:  # noqa: ANN401 - any object of a PDF
    """Return the number of the object that an entry refers to, None when it refers to none."""
    found = dictionary.raw_get(key) if key in dictionary else None
    return getattr(found, "idnum", None)


def _claims(reader: PdfFileReader) -> set[bytes]:
    """Return of which form the file claims to be: the part and the conformance of PDF/A."""
    metadata = _entry(reader.root, "/Metadata", None)
    return set(_CLAIM.findall(metadata.data)) if metadata is not None else set()


def _fields(reader: PdfFileReader) -> list[Any]:
    return [field.get_object() for field in _entry(_entry(reader.root, "/AcroForm", {}), "/Fields", ())]


def _entry(dictionary: Any, key: str, without: Any) -> Any:  # noqa: ANN401 - any object of a PDF
    """Return what an entry leads to; the library's own ``get`` would return where it leads."""
    return dictionary[key] if key in dictionary else without  # noqa: SIM401 - see above


def _is_field(reader: PdfFileReader, number: int) -> bool:
    """Tell whether an object is a signature's field that was empty when the document was handed on."""
    fields = _entry(_entry(reader.root, "/AcroForm", {}), "/Fields", ())
    for index in range(len(fields)):
        reference = fields.raw_get(index)
        if getattr(reference, "idnum", None) == number:
            return "/V" not in reference.get_object()
    return False


def page_height(pdf: bytes, page: int) -> float:
    """Return the height of a page in points."""
    box = _page(opened(pdf), page).get_object()["/MediaBox"]
    return float(box[3]) - float(box[1])
