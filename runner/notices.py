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

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from runner import gates, source, wording
from runner.clock import Instant
from runner.display import display
from runner.expiry import is_past
from runner.journal import Event
from runner.models import judged
from runner.moves import Gate
from runner.officials import Holder
from runner.sop import Sop, duration_seconds
from runner.state import RunState

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
    """What a run waits for, a gate, a form, a signature on a document or a row, as somebody is told of it.

    ``begun`` is the record with which the waiting began; ``gate`` is None but at a gate; ``form`` is the
    title of the form that is awaited, else empty; ``holders`` are who is awaited today.
    """

    run: str
    sop: Sop
    step: int
    begun: Event
    awaited: str
    gate: Gate | None
    form: str
    events: Sequence[Event]
    holders: tuple[Holder, ...]
    zone: ZoneInfo
    standing: str = ""
    """Of a row that is at work or stands still: how it stands; else empty."""
    document: str = ""
    """The document on which a signature is awaited; else empty."""

    @property
    def name(self) -> str:
        """Return what tells this waiting from any other of the run."""
        if self.standing:
            return f"row-{self.begun.seq}"
        if self.document:
            return f"signature-{self.begun.seq}"
        return self.gate.nonce if self.gate else f"form-{self.begun.seq}"


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
    return judged(Settings, source.read(text, name), secret=True)


def due(waiting: Waiting, settings: Settings, now: Instant) -> list[Occasion]:
    """Return for what a run's waiting calls by now, the first of it first."""
    standard = waiting.sop.step(waiting.step).standard_seconds
    # Nobody is told that a row is at work, only that it is so for too long.
    occasions: list[Occasion] = [] if waiting.standing else ["opened"]
    if waiting.standing and not (standard and _has_passed(waiting, standard, now)):
        return []
    if not waiting.standing and _has_passed(waiting, duration_seconds(settings.remind_after), now):
        occasions.append("reminded")
    if standard and _has_passed(waiting, standard, now):
        occasions.append("standard")
    if waiting.gate and gates.is_overdue(waiting.gate, waiting.events, now):
        occasions.append("deadline")
    return occasions


def standing_of(state: RunState) -> str:
    """Return how the row that is under way stands, for a letter."""
    if state.failed:
        return "gagal dan berhenti; setelah sebabnya diatasi: rawat resume"
    if state.window_awaited:
        return "menunggu waktu pemeliharaan"
    if state.freed:
        return "berhenti; komputernya telah dilepaskan"
    if state.decision:
        return "sudah diputuskan, tetapi belum dilanjutkan: rawat resume"
    return "dikerjakan, atau terhenti"


def _has_passed(waiting: Waiting, seconds: int, now: Instant) -> bool:
    readings = [event.instant for event in waiting.events if event.seq >= waiting.begun.seq]
    return is_past(waiting.begun.instant.at + timedelta(seconds=seconds), readings, now)


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


def key_of(waiting: Waiting, official: str, way: Way, occasion: Occasion) -> str:
    """Return the name of a telling: of this waiting, to this official, by this way, on this occasion."""
    return f"{waiting.name}:{official}:{way}:{occasion}"


_HEADS: dict[Occasion, str] = {
    "opened": "Menunggu {what} Anda",
    "reminded": "Masih menunggu {what} Anda",
    "standard": "Waktu baku terlampaui",
    "deadline": "Batas waktu terlampaui",
}
_SENTENCES: dict[Occasion, str] = {
    "opened": "sebuah langkah SOP menunggu {what} Anda.",
    "reminded": "sebuah langkah SOP masih menunggu {what} Anda.",
    "standard": "sebuah langkah SOP yang menunggu {what} Anda telah melampaui waktu bakunya.",
    "deadline": "batas waktu untuk {what} Anda pada sebuah langkah SOP telah lewat.",
}


def _letter(waiting: Waiting, holder: Holder, occasion: Occasion, way: Way) -> Letter:
    official = holder.official
    head = _HEADS[occasion].format(what=_what_for(waiting))
    subject = f"[Rawat] {head}: langkah {waiting.step}, {_line(waiting.sop.identity.nama_sop)}"
    return Letter(
        official.id,
        occasion,
        way,
        key_of(waiting, official.id, way, occasion),
        subject[:_LONGEST_SUBJECT],
        "\n".join(_body(waiting, holder, occasion)) + "\n",
    )


def _what_for(waiting: Waiting) -> str:
    if waiting.document:
        return "tanda tangan elektronik"
    return "keputusan" if waiting.gate else "isian formulir"


def _body(waiting: Waiting, holder: Holder, occasion: Occasion) -> list[str]:
    sop, step = waiting.sop, waiting.sop.step(waiting.step)
    told = [
        ("SOP", f"{_line(sop.identity.nama_sop)} ({_line(sop.identity.unit)})"),
        ("Pelaksanaan", waiting.run),
        ("Langkah", f"{step.no}. {_line(step.kegiatan)}"),
        ("Pelaksana" if waiting.standing else "Ditunggu", _line(waiting.awaited) or "-"),
        ("Sejak", _moment(waiting.begun.instant.at, waiting.zone)),
        ("Waktu baku", step.waktu or "tidak ditentukan"),
        *_told_besides(waiting),
    ]
    return [
        f"Yth. {_line(holder.official.name)}",
        f"{_line(holder.title)}",
        "",
        f"Dengan hormat, {_sentence(waiting, occasion)}",
        "",
        *(f"{name + ' ':.<16} {what}" for name, what in told),
        "",
        *_what_to_type(waiting, holder),
        "Surat ini dikirim oleh Rawat. Membalasnya tidak memutuskan apa pun.",
    ]


def _sentence(waiting: Waiting, occasion: Occasion) -> str:
    if waiting.standing:
        return "sebuah langkah SOP belum selesai dan telah melampaui waktu bakunya."
    return _SENTENCES[occasion].format(what=_what_for(waiting))


def _told_besides(waiting: Waiting) -> list[tuple[str, str]]:
    if waiting.standing:
        return [("Keadaan", _line(waiting.standing))]
    if waiting.document:
        return [("Dokumen", _line(waiting.document))]
    return _of_gate(waiting.gate, waiting.zone) if waiting.gate else [("Formulir", _line(waiting.form))]


def _what_to_type(waiting: Waiting, holder: Holder) -> list[str]:
    if waiting.standing:
        lines = [f"    rawat status {waiting.run}", f"    rawat resume {waiting.run}"]
        return ["Lihat keadaannya, dan lanjutkan bila terhenti, di terminal Rawat:", "", *lines, ""]
    if waiting.document:
        return _how_to_sign(waiting, holder)
    return _how_to_decide(waiting, holder) if waiting.gate else _how_to_fill(waiting, holder)


def _of_gate(gate: Gate, zone: ZoneInfo) -> list[tuple[str, str]]:
    until = gates.deadline(gate)
    return [
        ("Batas waktu", _moment(until, zone) if until else "tidak ada"),
        ("Pilihan", _line(", ".join(gate.outcomes))),
    ]


def _how_to_decide(waiting: Waiting, holder: Holder) -> list[str]:
    return [
        "Lihat apa yang diputuskan, lalu putuskan, di terminal Rawat:",
        "",
        f"    rawat decide {waiting.run}",
        f"    rawat decide {waiting.run} --official {holder.official.id} --outcome PILIHAN",
        "",
        "PILIHAN adalah salah satu pilihan di atas, dalam tanda petik bila lebih dari satu kata.",
    ]


def _how_to_sign(waiting: Waiting, holder: Holder) -> list[str]:
    return [
        "Lihat dokumen dan kodenya, lalu tanda tangani dengan sertifikat Anda, di terminal Rawat:",
        "",
        f"    rawat sign {waiting.run}",
        f"    rawat sign {waiting.run} --official {holder.official.id}",
        "",
    ]


def _how_to_fill(waiting: Waiting, holder: Holder) -> list[str]:
    return [
        "Isi formulirnya di terminal Rawat, atau simpan yang kosong dan masukkan setelah diisi:",
        "",
        f"    rawat fill {waiting.run} --by {holder.official.id}",
        f"    rawat fill {waiting.run} > formulir.yml",
        f"    rawat fill {waiting.run} --from formulir.yml --by {holder.official.id}",
        "",
    ]


def _moment(at: datetime, zone: ZoneInfo) -> str:
    return f"{wording.weekday_date(at, zone)}, pukul {wording.clock(at, zone)}"


def _line(text: str) -> str:
    return display(text, longest=_LONGEST)
