"""How an office's documents look and are numbered, and how long they are kept: ``office.yml``.

Everything has a default that says nothing: without the file a document has the roster's office as its head,
no logo, no number and no archive classification. Nothing here is taken from another office's rules. A run
keeps settings and logos as they were when it started, so that its documents can be made again as they were.
"""

from __future__ import annotations

import base64
import re
import string
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from runner import errors, models, source
from runner.canonical import sha256_hex
from runner.models import judged
from runner.source import Problem, SourceError

MOST_LOGO_BYTES = 500_000
_MEDIA = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg"}
_LOGO = re.compile(r"^[\w][\w.-]*\.(png|jpg|jpeg)$", re.IGNORECASE)
_MONTHS = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X", "XI", "XII")
_NUMBER_KEYS = ("nomor", "dokumen", "klasifikasi", "unit", "bulan", "bulan_romawi", "tahun")
_LINK_KEYS = ("run", "document", "version")
TO_FILL_IN = "…………"
"""Stands where a number is written by hand, out of the office's own book of numbers."""

Paper = Literal["A4", "F4"]
Font = Literal["Arial", "Times New Roman"]
Text = Annotated[str, Field(min_length=1, max_length=200)]


def _pattern(known: tuple[str, ...]) -> Any:  # noqa: ANN401 - pydantic's marker
    def judge(value: str) -> str:
        try:
            found = [
                (name, spec, how)
                for _, name, spec, how in string.Formatter().parse(value)
                if name is not None
            ]
        except ValueError as error:
            raise ValueError(f"braces do not fit together: {error}") from error
        for name, spec, how in found:
            if name not in known or spec or how:
                raise ValueError(f"expected no words in braces but {', '.join(f'{{{k}}}' for k in known)}")
        return value

    return AfterValidator(judge)


def _logo_file(value: str) -> str:
    if _LOGO.match(value) is None:
        raise ValueError("expected the name of a .png or .jpg file beside office.yml")
    return value


def _pem_file(value: str) -> str:
    if value and not re.match(r"^[\w][\w.-]*\.(pem|crt)$", value):
        raise ValueError("expected the name of a .pem or .crt file beside office.yml")
    return value


def _secret_file(value: str) -> str:
    # Ansible reads everything else beside the inventory, and prints what it cannot read.
    if value and not re.match(r"^(secrets/[\w][\w.-]*|[\w][\w.-]*\.secret)$", value):
        raise ValueError("expected secrets/FILE or FILE.secret, beside office.yml")
    return value


def _service(value: str) -> str:
    if value and not re.match(r"^(https://|http://(127\.0\.0\.1|localhost)[:/])[\x21-\x7e]+$", value):
        raise ValueError("expected an address that begins with https://, without blanks")
    return value


def _zone(value: str) -> str:
    if value not in available_timezones():
        raise ValueError("expected a zone such as Asia/Jakarta, Asia/Makassar or Asia/Jayapura")
    return value


def _link(value: str) -> str:
    if not re.match(r"^https://[\x21-\x7e]+$", value):
        raise ValueError("expected an address that begins with https://, without blanks")
    return value


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Logo(_Model):
    """A picture of the letterhead; ``name`` is read out to who does not see it."""

    file: Annotated[str, AfterValidator(_logo_file)]
    name: Text


class Letterhead(_Model):
    """The kop, on the first page only: lines in capitals, then the address; one logo left, another right."""

    lines: Annotated[list[Text], Field(max_length=5)] = []
    address: Annotated[list[Text], Field(max_length=3)] = []
    logos: Annotated[list[Logo], Field(max_length=2)] = []


class Numbering(_Model):
    """How documents are numbered; ``by: agenda`` leaves {nomor} to be written in from the office's book."""

    pattern: Annotated[str, Field(max_length=120), _pattern(_NUMBER_KEYS)] = ""
    unit: Annotated[str, Field(max_length=40)] = ""
    by: Literal["agenda", "rawat"] = "agenda"


class Archiving(_Model):
    """Where the file belongs and how long it is kept, from the office's own classification and JRA."""

    classification: Annotated[str, Field(max_length=40)] = ""
    security: Annotated[str, Field(max_length=40)] = ""
    """Klasifikasi keamanan, such as biasa or terbatas."""
    basis: Annotated[str, Field(max_length=200)] = ""
    """The decree of the JRA that the years are taken from."""
    active_years: Annotated[int, Field(ge=0, le=100)] | None = None
    inactive_years: Annotated[int, Field(ge=0, le=100)] | None = None
    final: Literal["musnah", "permanen", "dinilai kembali"] | None = None
    location: Annotated[str, Field(max_length=200)] = ""
    """Where paper copies are kept: lemari, rak, map."""
    link: Annotated[str, Field(max_length=200), AfterValidator(_link), _pattern(_LINK_KEYS)] | None = None
    """The address that the QR code leads to; without it the code names the run and the document."""

    @model_validator(mode="after")
    def _whole(self) -> Archiving:
        years = (self.active_years, self.inactive_years, self.final)
        if any(value is not None for value in years):
            if None in years:
                raise ValueError("active_years, inactive_years and final stand together")
            if not self.basis:
                raise ValueError("basis: name the decree of the JRA that the years are taken from")
        return self


class Signatures(_Model):
    """How officials sign documents as PDF, beside the statement that each of them always signs."""

    by: Literal["none", "pkcs12", "bsre"] = "none"
    """``pkcs12``: with a certificate in a file of their own; ``bsre``: through the office's service."""
    versions: Annotated[list[Literal["verified", "ratified"]], Field(min_length=1)] = ["verified", "ratified"]
    authorities: Annotated[str, AfterValidator(_pem_file)] = ""
    """Certificates in PEM, beside ``office.yml``: who the office trusts to say who somebody is."""
    names: dict[str, Text] = {}
    """Official -> his name as his certificate has it, where that is not the one of the roster."""
    service: Annotated[str, Field(max_length=200), AfterValidator(_service)] = ""
    origin: Literal["bottom", "top"] = "bottom"
    """From which edge of a page the service counts."""
    credentials: Annotated[str, AfterValidator(_secret_file)] = ""
    """File beside ``office.yml`` with the office's own user:password at the service; it is not kept."""

    @model_validator(mode="after")
    def _whole(self) -> Signatures:
        if self.by != "none" and not self.authorities:
            raise ValueError("authorities: name the file with the certificates of those who issue yours")
        if "ratified" not in self.versions or len(set(self.versions)) != len(self.versions):
            raise ValueError("versions: expected [ratified] or [verified, ratified]")
        if self.by == "bsre" and not (self.service and self.credentials):
            raise ValueError("by: bsre needs service and credentials")
        return self

    @property
    def recorded(self) -> dict[str, Any] | None:
        """Return what the first record of a run says of it."""
        return None if self.by == "none" else {"by": self.by, "versions": self.versions}

    def name_of(self, person: Mapping[str, Any]) -> str:
        """Return the name that the certificate of a person has to have."""
        return self.names.get(person["id"], str(person["name"]))


class OfficeSettings(_Model):
    """``office.yml`` beside an inventory."""

    letterhead: Letterhead = Letterhead()
    number: Numbering = Numbering()
    paper: Paper = "A4"
    font: Font = "Arial"
    place: Annotated[str, Field(max_length=80)] = ""
    timezone: Annotated[str, AfterValidator(_zone)] | None = None
    archive: Archiving = Archiving()
    signatures: Signatures = Signatures()


class Picture(_Model):
    """A logo as a run keeps it."""

    name: str
    media_type: Literal["image/png", "image/jpeg"]
    content: str
    """Base64."""

    @property
    def sha256(self) -> str:
        """Return the digest of the picture's bytes."""
        return sha256_hex(base64.b64decode(self.content))

    @property
    def address(self) -> str:
        """Return the picture as an address that holds it."""
        return f"data:{self.media_type};base64,{self.content}"


class OfficeLook(_Model):
    """The settings and the logos as a run keeps them, in ``office.json``."""

    format: Literal[1] = 1
    settings: OfficeSettings = OfficeSettings()
    pictures: tuple[Picture, ...] = ()
    authorities: str = ""
    """Certificates in PEM, as ``signatures.authorities`` names them."""

    def snapshot(self) -> bytes:
        """Return what the run keeps; ``from_snapshot`` reads it back."""
        return models.kept(self)

    @staticmethod
    def from_snapshot(data: bytes, name: str) -> OfficeLook:
        """Read what ``snapshot`` wrote.

        Raises:
            VerificationError: when it is something else.
        """
        return models.from_kept(OfficeLook, data, name, what="the settings of an office")


def parse_office(text: str, name: str, zone: str) -> OfficeSettings:
    """Parse and judge an ``office.yml``; ``zone`` is that of the roster.

    Raises:
        SourceError: naming every problem with its line.
    """
    read = source.read(text, name)
    settings = judged(OfficeSettings, read)
    if settings.timezone not in {None, zone}:
        told = f"timezone: {settings.timezone}, but officials.yml says {zone}; mend one of them"
        raise SourceError(name, [Problem(read.line(("timezone",)), told)])
    # Not a rule of the model: what a run of an earlier Rawat kept is read as it was.
    number = settings.number
    if number.by == "rawat" and number.pattern and "{dokumen}" not in number.pattern:
        told = "number.pattern: expected {dokumen}, or all documents of a run have the same number"
        raise SourceError(name, [Problem(read.line(("number", "pattern")), told)])
    return settings


def picture_of(logo: Logo, data: bytes, where: str) -> Picture:
    """Return a logo's file as a run keeps it.

    Raises:
        InputError: when it is too large, or neither PNG nor JPEG.
    """
    media = next((media for head, media in _MEDIA.items() if data.startswith(head)), None)
    if media is None:
        raise errors.InputError(f"{where}: is neither a PNG nor a JPEG picture", hint="save the logo as PNG")
    if len(data) > MOST_LOGO_BYTES:
        raise errors.InputError(
            f"{where}: is larger than {MOST_LOGO_BYTES} bytes", hint="save the logo with fewer pixels"
        )
    content = base64.b64encode(data).decode("ascii")
    return Picture.model_validate({"name": logo.name, "media_type": media, "content": content})


def number_of(
    settings: OfficeSettings, run_number: int, document_number: int, made_at: str, zone: str
) -> str:
    """Return a document's number by the office's pattern, or "" when the office has none.

    ``run_number`` counts the office's runs of a year, ``document_number`` the documents of the SOP. Where the
    office numbers by its own book, room is left for it.
    """
    day = datetime.fromisoformat(made_at).astimezone(ZoneInfo(zone))
    own = settings.number.by == "rawat"
    words: Mapping[str, str] = {
        "nomor": f"{run_number:03d}" if own else TO_FILL_IN,
        "dokumen": f"{document_number:02d}",
        "klasifikasi": settings.archive.classification or TO_FILL_IN,
        "unit": settings.number.unit or TO_FILL_IN,
        "bulan": f"{day:%m}",
        "bulan_romawi": _MONTHS[day.month - 1],
        "tahun": f"{day:%Y}",
    }
    return settings.number.pattern.format_map(words)
