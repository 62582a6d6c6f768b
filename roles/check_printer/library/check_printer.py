#!/usr/bin/python
"""Ansible module: asks a printer how it is, by one question of IPP, and changes nothing.

IPP is HTTP with a list of tagged values (RFC 8010). The few lines that write and read it are ours, because
what does it otherwise is a whole printing system. Rules kept here: one deadline stands over the question; the
answer is read to a limit; a length that points beyond its end makes it one that is not understood.
"""

from __future__ import annotations

import http.client
import re
import ssl
import struct
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.peers import deadline, number, printable, why_not

DOCUMENTATION = """
module: check_printer
short_description: Ask a printer how it is
options:
  uri: {type: str, required: true, description: Where it prints, ipp or ipps}
  timeout: {type: int, default: 15, description: Seconds for the question}
author: Rawat
"""
EXAMPLES = """
- name: Ask the printer
  check_printer: {uri: "ipp://192.0.2.9/ipp/print"}
"""
RETURN = """
facts: {type: dict, returned: always, description: What was measured}
"""

_MOST_BYTES = 500_000
_MOST_VALUES = 2000
_MOST = 50
_PORT = 631
_GET_PRINTER_ATTRIBUTES = 0x000B
_OPERATION, _END = 0x01, 0x03
_INTEGER, _BOOLEAN, _ENUM, _BEGIN, _FINISH = 0x21, 0x22, 0x23, 0x34, 0x37
_CHARSET, _LANGUAGE, _URI, _KEYWORD = 0x47, 0x48, 0x45, 0x44
_FIRST_VALUE_TAG = 0x10
_LANGUAGED = {0x35, 0x36}
_SUCCESS = range(0x100)
_REFUSED = {0x0401, 0x0402, 0x0403}
_ASKED = (
    "printer-name", "printer-make-and-model", "printer-state", "printer-state-reasons",
    "printer-state-message", "printer-is-accepting-jobs", "queued-job-count", "printer-up-time",
    "marker-names", "marker-types", "marker-levels", "printer-supply", "printer-supply-description",
)  # fmt: skip
_STATES = {3: "idle", 4: "processing", 5: "stopped"}


class NotUnderstoodError(ValueError):
    """The answer is none of IPP."""


class RefusedError(Exception):
    """The printer does not answer us."""


def measure(wanted: dict[str, Any]) -> dict[str, Any]:
    """Return the facts of a printer."""
    facts: dict[str, Any] = {"uri": wanted["uri"]}
    try:
        with deadline(wanted["timeout"]):
            said = decoded(ask(wanted))
    except RefusedError as error:
        return {**facts, "outcome": "login", "error": printable(error)}
    except (OSError, http.client.HTTPException, ValueError) as error:
        return {**facts, "outcome": why_not(error), "error": printable(error)}
    return {**facts, "outcome": "answered", **told(said)}


def ask(wanted: dict[str, Any]) -> bytes:
    """Return the printer's answer."""
    uri = urlsplit(wanted["uri"])
    host, port = uri.hostname or "", uri.port or _PORT
    connection: http.client.HTTPConnection
    if uri.scheme == "ipps":
        # Printers sign their own certificates. Nothing secret is asked or told.
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection(host, port, timeout=wanted["timeout"], context=context)
    else:
        connection = http.client.HTTPConnection(host, port, timeout=wanted["timeout"])
    try:
        headers = {"Content-Type": "application/ipp", "User-Agent": "rawat-check"}
        connection.request("POST", uri.path or "/", body=question(wanted["uri"]), headers=headers)
        answer = connection.getresponse()
        if answer.status in {401, 403}:
            raise RefusedError(f"HTTP {answer.status}")
        if answer.status != http.client.OK:
            raise NotUnderstoodError(f"HTTP {answer.status}")
        return answer.read(_MOST_BYTES)
    finally:
        connection.close()


def question(uri: str) -> bytes:
    """Return Get-Printer-Attributes for what we want to know."""
    parts = [struct.pack(">HHiB", 0x0101, _GET_PRINTER_ATTRIBUTES, 1, _OPERATION)]
    parts += [attribute(_CHARSET, "attributes-charset", "utf-8")]
    parts += [attribute(_LANGUAGE, "attributes-natural-language", "en")]
    parts += [attribute(_URI, "printer-uri", uri)]
    # Further values of the same attribute have no name.
    parts += [attribute(_KEYWORD, "" if n else "requested-attributes", name) for n, name in enumerate(_ASKED)]
    return b"".join([*parts, bytes([_END])])


def attribute(tag: int, name: str, value: str) -> bytes:
    """Return one value with its tag and name."""
    raw = value.encode()
    return struct.pack(">BH", tag, len(name)) + name.encode() + struct.pack(">H", len(raw)) + raw


def decoded(answer: bytes) -> dict[str, list[Any]]:
    """Return the values of each attribute of an answer.

    Raises:
        NotUnderstoodError: when it is cut off, or none.
        RefusedError: when the printer says that we may not ask.
    """
    try:
        _, status, _ = struct.unpack_from(">HHi", answer)
        if status in _REFUSED:
            raise RefusedError(f"status {status:#06x}")
        if status not in _SUCCESS:
            raise NotUnderstoodError(f"status {status:#06x}")
        found: dict[str, list[Any]] = {}
        for count, (name, value) in enumerate(values(answer)):
            if count >= _MOST_VALUES:
                raise NotUnderstoodError("too many values")
            found.setdefault(name, []).append(value)
    except (struct.error, IndexError) as error:
        raise NotUnderstoodError("the answer is cut off") from error
    return found


def values(answer: bytes) -> Iterator[tuple[str, Any]]:
    """Yield name and value of what stands in an answer; what is within collections is left out."""
    at, name, depth = 8, "", 0
    while (tag := answer[at]) != _END:
        at += 1
        if tag < _FIRST_VALUE_TAG:
            continue
        raw_name, at = piece(answer, at)
        raw, at = piece(answer, at)
        name = raw_name.decode("utf-8", "replace") or name
        depth += (tag == _BEGIN) - (tag == _FINISH)
        if depth == 0 and tag != _FINISH:
            yield name, typed(tag, raw)


def piece(answer: bytes, at: int) -> tuple[bytes, int]:
    """Return the bytes that stand behind their length, and where they end."""
    (length,) = struct.unpack_from(">H", answer, at)
    ends = at + 2 + length
    if ends > len(answer):
        raise NotUnderstoodError("the answer is cut off")
    return answer[at + 2 : ends], ends


def typed(tag: int, raw: bytes) -> int | bool | str:
    """Return one value as what its tag says."""
    if tag in {_INTEGER, _ENUM}:
        (number,) = struct.unpack(">i", raw)
        return int(number)
    if tag == _BOOLEAN:
        return raw == b"\x01"
    if tag in _LANGUAGED:
        _, at = piece(raw, 0)
        raw, _ = piece(raw, at)
    return printable(raw)


def told(said: dict[str, list[Any]]) -> dict[str, Any]:
    """Return what the attributes come to."""
    return {
        "name": str(first(said, "printer-name")),
        "model": str(first(said, "printer-make-and-model")),
        "state": _STATES.get(first(said, "printer-state"), "unknown"),
        "reasons": [str(reason) for reason in said.get("printer-state-reasons", [])[:_MOST]],
        "message": str(first(said, "printer-state-message")),
        "is_accepting": first(said, "printer-is-accepting-jobs") is not False,
        "queued": number(first(said, "queued-job-count")),
        "markers": markers(said) or supplies(said),
    }


def markers(said: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """Return the supplies as CUPS and most printers tell them."""
    names, kinds, levels = (said.get(f"marker-{what}", [])[:_MOST] for what in ("names", "types", "levels"))
    return [
        {"name": str(name), "is_waste": str(kind).startswith("waste"), "level": level}
        for name, kind, level in zip(names, kinds, levels, strict=False)
        if isinstance(level, int)
    ]


def supplies(said: dict[str, list[Any]]) -> list[dict[str, Any]]:
    """Return the supplies as IPP Everywhere tells them: ``maxcapacity=100;level=75;...`` (PWG 5100.13)."""
    named = said.get("printer-supply-description", [])
    found = []
    for place, line in enumerate(said.get("printer-supply", [])[:_MOST]):
        words = dict(word.split("=", 1) for word in str(line).split(";") if "=" in word)
        most, level = (as_number(words.get(key, "")) for key in ("maxcapacity", "level"))
        if level is None:
            continue
        if level > 0 and most and most > 0:
            level = round(100 * level / most)
        name = named[place] if place < len(named) else words.get("type", "")
        is_waste = words.get("class", "") == "receptacleThatIsFilled"
        found.append({"name": str(name), "is_waste": is_waste, "level": level})
    return found


def as_number(text: str) -> int | None:
    """Return the number that a text is."""
    return int(text) if re.fullmatch(r"-?\d{1,9}", text) else None


def first(said: dict[str, list[Any]], name: str) -> Any:  # noqa: ANN401 - a value of any type
    """Return the only value of an attribute; an empty text when it is not there."""
    return said.get(name, [""])[0]


def main() -> None:
    """Measure and leave."""
    module = AnsibleModule(
        argument_spec={
            "uri": {"type": "str", "required": True},
            "timeout": {"type": "int", "default": 15},
        },
        supports_check_mode=True,
    )
    uri = module.params["uri"]
    try:
        parts = urlsplit(uri)
        is_good = parts.scheme in {"ipp", "ipps"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good or not uri.isascii():
        module.fail_json(msg=f"{uri} is no address of a printer: give ipp://... or ipps://...")
    module.exit_json(changed=False, facts=measure(module.params))


if __name__ == "__main__":
    main()
