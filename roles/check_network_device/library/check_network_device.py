#!/usr/bin/python
"""Ansible module: asks a network device how it is, by net-snmp's own commands. Changes nothing.

Rules kept here: community and passphrases are in a file of this process's own (0600, gone at the end), never
in arguments or environment; every text of the device comes to us in hexadecimal, so that none can look like
another answer; one deadline stands over all questions, and of an answer without end the beginning is read.
"""

from __future__ import annotations

import os
import re
import selectors
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from ansible.module_utils import echoes
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.peers import printable

DOCUMENTATION = """
module: check_network_device
short_description: Ask a network device how it is, by SNMP
options:
  address: {type: str, required: true, description: Address of the device}
  port: {type: int, default: 161, description: Port of its agent}
  version: {type: str, default: "2c", choices: ["2c", "3"], description: Version of SNMP}
  community: {type: str, default: "", description: Community of version 2c}
  user: {type: str, default: "", description: User of version 3}
  auth_protocol: {type: str, default: SHA-256, description: How version 3 authenticates}
  auth_password: {type: str, default: "", description: Passphrase for that}
  privacy_protocol: {type: str, default: AES, description: How version 3 encrypts}
  privacy_password: {type: str, default: "", description: Passphrase for that}
  timeout: {type: int, default: 40, description: Seconds for all questions together}
author: Rawat
"""
EXAMPLES = """
- name: Ask the switch
  check_network_device: {address: 192.0.2.2, community: "{{ vault_community }}"}
"""
RETURN = """
facts: {type: dict, returned: always, description: What was measured}
"""

_SYSTEM = ".1.3.6.1.2.1.1"
_UPS = ".1.3.6.1.2.1.33.1"
_APC = ".1.3.6.1.4.1.318.1.1.1"
_SINGLE = {
    f"{_SYSTEM}.1.0": "description",
    f"{_SYSTEM}.2.0": "object_id",
    f"{_SYSTEM}.3.0": "uptime",
    f"{_SYSTEM}.5.0": "name",
    # UPS-MIB (RFC 1628): battery status, minutes and charge left, where the current comes from
    f"{_UPS}.2.1.0": "ups_status",
    f"{_UPS}.2.3.0": "ups_minutes",
    f"{_UPS}.2.4.0": "ups_charge",
    f"{_UPS}.4.1.0": "ups_source",
    # PowerNet-MIB: the same of a device of APC, and whether it asks for a new battery
    f"{_APC}.2.1.1.0": "apc_status",
    f"{_APC}.2.2.1.0": "apc_charge",
    f"{_APC}.2.2.3.0": "apc_left",
    f"{_APC}.2.2.4.0": "apc_replace",
    f"{_APC}.4.1.1.0": "apc_source",
}
_COLUMNS = {
    # IF-MIB (RFC 2863)
    ".1.3.6.1.2.1.2.2.1.2": "description",
    ".1.3.6.1.2.1.31.1.1.1.1": "name",
    ".1.3.6.1.2.1.2.2.1.7": "wanted",
    ".1.3.6.1.2.1.2.2.1.8": "state",
    ".1.3.6.1.2.1.2.2.1.14": "errors_in",
    ".1.3.6.1.2.1.2.2.1.20": "errors_out",
    ".1.3.6.1.2.1.2.2.1.11": "packets_in",
    ".1.3.6.1.2.1.2.2.1.17": "packets_out",
}
_WIDE_COLUMNS = {
    # ifHCInUcastPkts and ifHCOutUcastPkts: the last two of the above in 64 bits
    ".1.3.6.1.2.1.31.1.1.1.7": "packets_in_64",
    ".1.3.6.1.2.1.31.1.1.1.11": "packets_out_64",
}
_STATES = dict(
    enumerate(("up", "down", "testing", "unknown", "dormant", "not present", "layer below down"), 1)
)
_BATTERIES = {1: "unknown", 2: "normal", 3: "low", 4: "depleted"}
_ON_BATTERY = {"ups": 5, "apc": 3}
_REPLACE = 2
_WHOLE = 100
_MOST_BYTES = 1_000_000
_MOST_INTERFACES = 300
_LINE = re.compile(r"^(\.[\d.]+) = (?:([A-Z][A-Za-z0-9-]*): ?)?(.*)$")
_LOGIN = (
    "authentication failure",
    "unknown user name",
    "unsupported security level",
    "decryption error",
    "wrong digest",
    "authorizationerror",
    "unsupportedseclevel",
    "unknownusername",
    "wrongdigest",
)


class NoAnswerError(Exception):
    """The agent did not answer; says the outcome in a word that the judge knows."""


def measure(wanted: dict[str, Any]) -> dict[str, Any]:
    """Return the facts of a device."""
    facts: dict[str, Any] = {"address": wanted["address"], "echoes": echoes.ask(wanted["address"], 3)}
    with tempfile.TemporaryDirectory(prefix="rawat-") as name:
        private = Path(name)
        write_settings(private / "snmp.conf", wanted)
        agent = Agent(wanted, private)
        try:
            single = by_name(agent.get(list(_SINGLE)), _SINGLE)
            rows = {key: agent.walk(column) for column, key in _COLUMNS.items()}
            rows |= {key: agent.walk_if_told(column) for column, key in _WIDE_COLUMNS.items()}
        except NoAnswerError as error:
            return {**facts, "outcome": str(error)}
    return {
        **facts,
        "outcome": "answered",
        "description": printable(single.get("description", b"")),
        "object_id": printable(single.get("object_id", "")),
        "name": printable(single.get("name", b"")),
        "uptime_seconds": number(single.get("uptime"), 0) // 100,
        "interfaces": interfaces(rows),
        "ups": ups(single),
    }


class Agent:
    """A device's agent and the time that is left for it."""

    def __init__(self, wanted: dict[str, Any], private: Path) -> None:
        address = wanted["address"]
        # An IPv6 address stands in brackets, after the name of its transport.
        named = f"udp6:[{address}]" if ":" in address else f"udp:{address}"
        self._target = f"{named}:{wanted['port']}"
        self._private = private
        self._ends = time.monotonic() + wanted["timeout"]

    def get(self, oids: list[str]) -> dict[str, Any]:
        """Return the values of some OIDs; what the device does not have is left out."""
        return parsed(self._run("snmpget", oids))

    def walk(self, column: str) -> dict[int, Any]:
        """Return the values of a table's column by the row's index."""
        found = {}
        for oid, value in parsed(self._run("snmpbulkwalk", [column])).items():
            index = oid.removeprefix(f"{column}.")
            if index.isdigit() and len(index) < 12:  # noqa: PLR2004 - an index has 32 bits
                found[int(index)] = value
        return found

    def walk_if_told(self, column: str) -> dict[int, Any]:
        """Return the same of a column that some devices do not have, or do not show to everybody."""
        try:
            return self.walk(column)
        except NoAnswerError:
            return {}

    def _run(self, program: str, words: list[str]) -> str:
        left = self._ends - time.monotonic()
        if left <= 0:
            raise NoAnswerError("timeout")
        more = ["-Cr20"] if program == "snmpbulkwalk" else []
        folder = str(self._private)
        with subprocess.Popen(
            # Numbers for names, no units, raw ticks, texts in hexadecimal; two seconds, and once more.
            [program, "-m", "", "-OnexUt", "-t", "2", "-r", "1", *more, self._target, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=(self._private / "said").open("wb"),
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "HOME": folder, "SNMPCONFPATH": folder,
                 "SNMP_PERSISTENT_DIR": folder, "MIBS": ""},
        ) as child:  # fmt: skip
            told = read_some(child, left)
        if child.returncode != 0 and not told.startswith("."):
            raise NoAnswerError(outcome_of((self._private / "said").read_text("utf-8", "replace") + told))
        return told


def read_some(child: subprocess.Popen[bytes], seconds: float) -> str:
    """Return what a program prints within some time, the first megabyte of it; then it is ended."""
    ends, told = time.monotonic() + seconds, b""
    assert child.stdout  # noqa: S101 - a pipe was asked for
    with selectors.DefaultSelector() as waiting:
        waiting.register(child.stdout, selectors.EVENT_READ)
        while len(told) < _MOST_BYTES and (left := ends - time.monotonic()) > 0:
            if not waiting.select(left):
                break
            if not (piece := os.read(child.stdout.fileno(), 65536)):
                child.wait()
                return told.decode("ascii", "replace")
            told += piece
    child.kill()
    return told[: told.rfind(b"\n") + 1].decode("ascii", "replace")


def outcome_of(said: str) -> str:
    """Return in a word why there is no answer."""
    if any(mark in said.lower() for mark in _LOGIN):
        return "login"
    return "no answer" if not said or "Timeout" in said or "No Response" in said else "not understood"


def parsed(text: str) -> dict[str, Any]:
    """Return the values in what net-snmp printed: bytes for texts, whole numbers, and OIDs as text."""
    found: dict[str, Any] = {}
    oid, kind, value = "", "", ""
    for line in [*text.splitlines(), ""]:
        start = _LINE.match(line)
        if not start and line:
            # Long texts in hexadecimal go on in further lines.
            value += " " + line
            continue
        if oid and (said := typed(kind, value)) is not None:
            found[oid] = said
        oid, kind, value = (start[1], start[2] or "", start[3]) if start else ("", "", "")
    return found


def typed(kind: str, value: str) -> bytes | int | str | None:
    """Return one value as what it is; None for "no such object" and what we do not ask for."""
    if kind in {"Hex-STRING", "BITS"}:
        digits = re.sub(r"[^0-9A-Fa-f]", "", value)
        return bytes.fromhex(digits[: len(digits) // 2 * 2])
    if value.strip() == '""':
        return b""
    if kind == "OID":
        return value.strip()
    whole = re.fullmatch(r"\(?(-?\d{1,20})\)?(?!\d).*", value.strip())
    is_number = kind in {"INTEGER", "Counter32", "Counter64", "Gauge32", "Timeticks", ""}
    return int(whole[1]) if whole and is_number else None


def by_name(values: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """Return values under our names for their OIDs."""
    return {names[oid]: value for oid, value in values.items() if oid in names}


def number(value: object, otherwise: int) -> int:
    """Return a value that has to be a number."""
    return value if isinstance(value, int) else otherwise


def interfaces(rows: dict[str, dict[int, Any]]) -> list[dict[str, Any]]:
    """Return the interfaces with their names, states and counters."""
    found = []
    for index in sorted(rows["state"])[:_MOST_INTERFACES]:
        row = {key: column.get(index) for key, column in rows.items()}
        name = printable(row["name"] or b"") or printable(row["description"] or b"") or str(index)
        counted = {key: number(row[key], -1) for key in ("errors_in", "errors_out")}
        for key in ("packets_in", "packets_out"):
            # Those of 32 bits begin anew within hours on a busy port; some devices leave the others at zero.
            counted[key] = max(number(row[key], -1), number(row[f"{key}_64"], -1))
        found.append(
            {
                "name": name,
                "description": printable(row["description"] or b""),
                "wanted": _STATES.get(number(row["wanted"], 0), "unknown"),
                "state": _STATES.get(number(row["state"], 0), "unknown"),
                **counted,
            }
        )
    return found


def ups(single: dict[str, Any]) -> dict[str, Any] | None:
    """Return how the battery is, by the MIB that the device has; None when it has neither."""
    kind = "ups" if "ups_status" in single else "apc"
    if f"{kind}_status" not in single:
        return None
    minutes = single.get("ups_minutes")
    if kind == "apc" and isinstance(single.get("apc_left"), int):
        minutes = single["apc_left"] // 6000
    replace, charge = single.get("apc_replace"), number(single.get(f"{kind}_charge"), -1)
    battery = _BATTERIES.get(number(single[f"{kind}_status"], 1), "unknown")
    on_battery = number(single.get(f"{kind}_source"), 0) == _ON_BATTERY[kind]
    # Against RFC 1628 real devices tell so what they do not measure: below nought, or no minutes at rest.
    at_rest = battery == "normal" and not on_battery
    return {
        "battery": battery,
        "charge_percent": charge if 0 <= charge <= _WHOLE else None,
        "minutes_left": None if number(minutes, -1) < (1 if at_rest else 0) else minutes,
        "on_battery": on_battery,
        "replace": None if replace is None else replace == _REPLACE,
    }


def write_settings(path: Path, wanted: dict[str, Any]) -> None:
    """Write net-snmp's settings, secrets included, into a file that only we can read."""
    # Of the words that net-snmp knows it takes none in quotes, and of the others some only in them.
    settings = {"defVersion": wanted["version"]}
    if wanted["version"] == "2c":
        settings["defCommunity"] = quoted(wanted["community"])
    else:
        level = "authPriv" if wanted["privacy_password"] else "authNoPriv"
        settings |= {
            "defSecurityName": quoted(wanted["user"]),
            "defSecurityLevel": level if wanted["auth_password"] else "noAuthNoPriv",
            "defAuthType": wanted["auth_protocol"],
            "defAuthPassphrase": quoted(wanted["auth_password"]),
            "defPrivType": wanted["privacy_protocol"],
            "defPrivPassphrase": quoted(wanted["privacy_password"]),
        }
    lines = (f"{key} {value}\n" for key, value in settings.items() if value)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write("".join(lines))


def quoted(value: str) -> str:
    """Return a value as net-snmp's settings read it back."""
    return value and '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def main() -> None:
    """Measure and leave."""
    module = AnsibleModule(
        argument_spec={
            "address": {"type": "str", "required": True},
            "port": {"type": "int", "default": 161},
            "version": {"type": "str", "default": "2c", "choices": ["2c", "3"]},
            "community": {"type": "str", "default": "", "no_log": True},
            "user": {"type": "str", "default": ""},
            "auth_protocol": {"type": "str", "default": "SHA-256"},
            "auth_password": {"type": "str", "default": "", "no_log": True},
            "privacy_protocol": {"type": "str", "default": "AES"},
            "privacy_password": {"type": "str", "default": "", "no_log": True},
            "timeout": {"type": "int", "default": 40},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    for program in ("snmpget", "snmpbulkwalk", "ping"):
        module.get_bin_path(program, required=True)
    if wanted["version"] == "2c" and not wanted["community"]:
        module.fail_json(msg="SNMP version 2c needs check_network_device_community")
    if wanted["version"] == "3" and not wanted["user"]:
        module.fail_json(msg="SNMP version 3 needs check_network_device_user")
    if any(not str(value).isprintable() for value in wanted.values()):
        module.fail_json(msg="the settings of SNMP have a character in them that is not seen")
    module.exit_json(changed=False, facts=measure(wanted))


if __name__ == "__main__":
    main()
