"""What officials are told by mail: the office's settings, when something is to be told, and its words.

Pure rules. A notice decides nothing and holds nothing that opens a gate: it says that somebody is awaited,
for which row of which SOP, since when, and what to type. Text from SOP, roster and inventory is a stranger's:
each piece is one line without steering characters before it comes into a letter.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from runner import gates, source, wording
from runner.clock import Instant
from runner.display import display
from runner.expiry import is_past
from runner.journal import Event
from runner.moves import Gate
from runner.officials import Holder
from runner.sop import Sop, duration_seconds, path_text
from runner.source import Problem, SourceError

Occasion = Literal["opened", "reminded", "standard", "deadline"]
"""Why somebody is told: the gate opened, it still waits, its standard time or its deadline has passed."""
Way = Literal["mail", "apprise"]

_ADDRESS = re.compile(r"^[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,250}[A-Za-z0-9])?$")
_HOST = re.compile(r"^[A-Za-z0-9](?:[A-Za-z0-9.:-]{0,250}[A-Za-z0-9])?$")
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_LONGEST_SUBJECT, _LONGEST = 150, 500


def _address(value: str) -> str:
    if _ADDRESS.match(value) is None:
        raise ValueError("expected a mail address such as nama@dinas.example")
    return value


def _host(value: str) -> str:
    if _HOST.match(value) is None:
        raise ValueError("expected the name of a mail server such as mail.dinas.example")
    return value


def _time(value: str) -> str:
    try:
        duration_seconds(value)
    except ValueError as error:
        raise ValueError("expected a time such as '2 Jam' or '1 Hari'") from error
    return value


Address = Annotated[str, AfterValidator(_address)]
Path = Annotated[str, Field(min_length=1, max_length=500)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Smtp(_Model):
    """The office's mail server; the password stands in a file of its own that only its owner may read."""

    host: Annotated[str, AfterValidator(_host)]
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    password_file: Path | None = None
    ca_file: Path | None = None

    @model_validator(mode="after")
    def _keeps_secrets(self) -> Smtp:
        if (self.user is None) != (self.password_file is None):
            raise ValueError("user and password_file go together")
        if self.security == "none" and self.host not in _LOOPBACK:
            raise ValueError("without encryption mail is handed only to this machine (host: localhost)")
        if self.security == "none" and self.user:
            raise ValueError("no password is sent without encryption")
        return self


class Settings(_Model):
    """``notify.yml`` beside ``officials.yml``: who is told, and by what."""

    sender: Address | None = Field(default=None, alias="from")
    smtp: Smtp | None = None
    addresses: dict[str, Address] = Field(default={}, description="Official's id -> mail address")
    apprise: dict[str, Path] = Field(
        default={}, description="Official's id -> file with Apprise URLs, one a line, for its owner alone"
    )
    remind_after: Annotated[str, AfterValidator(_time)] = "1 Hari"

    @model_validator(mode="after")
    def _can_be_sent(self) -> Settings:
        if self.addresses and (self.smtp is None or self.sender is None):
            raise ValueError("addresses need smtp and from")
        return self


@dataclass(frozen=True)
class Waiting:
    """A gate as somebody is told of it: which run and SOP, and who is awaited there today."""

    run: str
    sop: Sop
    gate: Gate
    events: Sequence[Event]
    holders: tuple[Holder, ...]
    zone: ZoneInfo


@dataclass(frozen=True)
class Letter:
    """What one official is told, by which way; ``key`` names it for the memory of what was told."""

    official: str
    occasion: Occasion
    way: Way
    key: str
    subject: str
    body: str


def parse_settings(text: str, name: str) -> Settings:
    """Parse and judge a ``notify.yml``.

    Raises:
        SourceError: naming every problem with its line.
    """
    read = source.read(text, name)
    try:
        return Settings.model_validate(read.data)
    except ValidationError as error:
        problems = [
            Problem(read.line(item["loc"]), f"{path_text(item['loc'])}: {_what(item['type'], item['msg'])}")
            for item in error.errors(include_url=False, include_input=False)
        ]
        raise SourceError(name, problems) from error


def _what(kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return "is not a key that notify.yml knows"
    return message.removeprefix("Value error, ")


def due(waiting: Waiting, settings: Settings, now: Instant) -> list[Occasion]:
    """Return for what an open gate calls by now, the first of it first."""
    step = waiting.sop.step(waiting.gate.step)
    occasions: list[Occasion] = ["opened"]
    if _has_passed(waiting, duration_seconds(settings.remind_after), now):
        occasions.append("reminded")
    if step.standard_seconds and _has_passed(waiting, step.standard_seconds, now):
        occasions.append("standard")
    if gates.is_overdue(waiting.gate, waiting.events, now):
        occasions.append("deadline")
    return occasions


def _has_passed(waiting: Waiting, seconds: int, now: Instant) -> bool:
    opened = waiting.gate.opened
    readings = [event.instant for event in waiting.events if event.seq >= opened.seq]
    return is_past(opened.instant.at + timedelta(seconds=seconds), readings, now)


def letters(waiting: Waiting, settings: Settings, occasions: Sequence[Occasion]) -> list[Letter]:
    """Return what each awaited official is told: by each way one letter, of the last occasion."""
    return [
        _letter(waiting, holder, occasions[-1], way)
        for holder in waiting.holders
        for way in ways_to(settings, holder.official.id)
    ]


def ways_to(settings: Settings, official: str) -> list[Way]:
    """Return by which ways an official can be told something."""
    mail: list[Way] = ["mail"] if official in settings.addresses else []
    return [*mail, "apprise"] if official in settings.apprise else mail


def key_of(gate: Gate, official: str, way: Way, occasion: Occasion) -> str:
    """Return the name of a telling: at this gate, to this official, by this way, at this occasion."""
    return f"{gate.nonce}:{official}:{way}:{occasion}"


_HEADS: dict[Occasion, str] = {
    "opened": "Menunggu keputusan Anda",
    "reminded": "Masih menunggu keputusan Anda",
    "standard": "Waktu baku terlampaui",
    "deadline": "Batas waktu terlampaui",
}
_SENTENCES: dict[Occasion, str] = {
    "opened": "sebuah langkah SOP menunggu keputusan Anda.",
    "reminded": "sebuah langkah SOP masih menunggu keputusan Anda.",
    "standard": "sebuah langkah SOP yang menunggu keputusan Anda telah melampaui waktu bakunya.",
    "deadline": "batas waktu untuk memutuskan sebuah langkah SOP telah lewat.",
}


def _letter(waiting: Waiting, holder: Holder, occasion: Occasion, way: Way) -> Letter:
    step, official = waiting.sop.step(waiting.gate.step), holder.official
    subject = f"[Rawat] {_HEADS[occasion]}: langkah {step.no}, {_line(waiting.sop.identity.nama_sop)}"
    return Letter(
        official.id,
        occasion,
        way,
        key_of(waiting.gate, official.id, way, occasion),
        subject[:_LONGEST_SUBJECT],
        "\n".join(_body(waiting, holder, occasion)) + "\n",
    )


def _body(waiting: Waiting, holder: Holder, occasion: Occasion) -> list[str]:
    sop, gate, zone = waiting.sop, waiting.gate, waiting.zone
    step, official = sop.step(gate.step), holder.official
    since, until = gate.opened.instant.at, gates.deadline(gate)
    told = [
        ("SOP", f"{_line(sop.identity.nama_sop)} ({_line(sop.identity.unit)})"),
        ("Pelaksanaan", waiting.run),
        ("Langkah", f"{step.no}. {_line(step.kegiatan)}"),
        ("Ditunggu", _line(gate.awaited)),
        ("Sejak", _moment(since, zone)),
        ("Waktu baku", step.waktu or "tidak ditentukan"),
        ("Batas waktu", _moment(until, zone) if until else "tidak ada"),
        ("Pilihan", _line(", ".join(gate.outcomes))),
    ]
    return [
        f"Yth. {_line(official.name)}",
        f"{_line(holder.title)}",
        "",
        f"Dengan hormat, {_SENTENCES[occasion]}",
        "",
        *(f"{name + ' ':.<16} {what}" for name, what in told),
        "",
        "Lihat apa yang diputuskan, lalu putuskan, di terminal Rawat:",
        "",
        f"    rawat decide {waiting.run}",
        f"    rawat decide {waiting.run} --official {official.id} --outcome PILIHAN",
        "",
        "PILIHAN adalah salah satu pilihan di atas, dalam tanda petik bila lebih dari satu kata.",
        "Surat ini dikirim oleh Rawat. Membalasnya tidak memutuskan apa pun.",
    ]


def _moment(at: datetime, zone: ZoneInfo) -> str:
    return f"{wording.weekday_date(at, zone)}, pukul {wording.clock(at, zone)}"


def _line(text: str) -> str:
    return display(text, longest=_LONGEST)
