#!/usr/bin/python3
"""Ansible module: scans folders for viruses within limits, and moves what is found when approved.

What was not scanned is told: a scan that left something out is never "clean".
"""

from __future__ import annotations

import fnmatch
import os
import re
import shutil
import stat
import time
from pathlib import Path
from typing import Any

from ansible.module_utils import clamav_database, debian_packages, host_unit
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.scan_host_quarantine import QuarantineError, Seen, move, records, seen

DOCUMENTATION = """
module: scan_paths
short_description: Scan folders of a host for viruses, and quarantine what is found
description:
  - Lists regular files within limits, has a scanner look at them in a named unit, and tells what it found.
  - Moves what it found into a root-only folder only when told so; deletes nothing.
options:
  paths: {type: list, elements: str, required: true, description: Folders to scan}
  left_out: {type: list, elements: str, required: true, description: Patterns of paths that are not}
  most_files: {type: int, required: true, description: Limit of files}
  most_bytes: {type: int, required: true, description: Limit of one file}
  seconds: {type: int, required: true, description: Limit of the scan}
  command: {type: list, elements: str, required: true, description: Another scanner; empty for ClamAV}
  pattern: {type: str, required: true, description: How that scanner tells what it found}
  quarantine: {type: bool, required: true, description: Whether what is found is moved}
  directory: {type: path, required: true, description: The quarantine}
  run: {type: str, required: true, description: Names the folder on the host}
  action: {type: str, default: "", description: The part of the run; a second call tells what moved}
  state_directory: {type: path, required: true, description: Where the folders of runs are}
author: Rawat
"""
EXAMPLES = """
- name: Scan
  scan_paths:
    paths: [/srv]
    left_out: []
    most_files: 100000
    most_bytes: 104857600
    seconds: 1800
    command: []
    pattern: ""
    quarantine: false
    directory: /var/lib/rawat/quarantine
    run: example-1
    state_directory: /var/lib/rawat
"""
RETURN = """
evidence: {type: dict, returned: always, description: The evidence of the role scan_host}
"""

UNIT = "rawat-scan-host.service"
CLAMAV_FOUND = r"^(?P<path>/.*): (?P<signature>\S+) FOUND$"
CLEAN, FOUND = 0, 1
KEPT = ("id", "sha256", "size", "mode", "uid", "gid", "other_names")
OWN = ("/proc", "/sys", "/dev", "/run")
MEBIBYTE = 1 << 20
UNITS = {"": 1, "K": 1 << 10, "M": MEBIBYTE, "G": 1 << 30}
# No version of ClamAV looks at larger files, whatever its settings say.
CLAMAV_MOST_BYTES = (1 << 31) - 1


class Listed:
    """The files that are scanned, and how many are not, by reason."""

    def __init__(self, parameters: dict[str, Any]) -> None:
        self.parameters = parameters
        self.files: dict[str, Seen] = {}
        self.skipped: dict[str, int] = {}
        for top in parameters["paths"]:
            if not Path(top).is_dir() or Path(top).is_symlink():
                self.skip("no such folder")
                continue
            for folder, folders, names in os.walk(top, onerror=lambda _: self.skip("unreadable")):
                folders[:] = sorted(name for name in folders if self.is_wanted(f"{folder}/{name}"))
                for name in sorted(names):
                    self.take(f"{folder.rstrip('/')}/{name}")

    def skip(self, reason: str) -> None:
        """Count what is not scanned."""
        self.skipped[reason] = self.skipped.get(reason, 0) + 1

    def is_wanted(self, path: str) -> bool:
        """Tell whether a path is to be looked at at all."""
        own = (*OWN, self.parameters["directory"])
        patterns = self.parameters["left_out"]
        return path not in own and not any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)

    def take(self, path: str) -> None:
        """List a file that is within the limits."""
        try:
            about = os.lstat(path)
        except OSError:
            return
        if not stat.S_ISREG(about.st_mode) or not self.is_wanted(path):
            return
        if about.st_size > self.parameters["most_bytes"]:
            self.skip("too large")
        elif len(self.files) >= self.parameters["most_files"]:
            self.skip("too many")
        elif "\n" in path or not path.isprintable():
            self.skip("a name that cannot be listed")
        else:
            self.files[path] = seen(about)


def scanner(parameters: dict[str, Any], listing: Path) -> tuple[str, list[str], str, int]:
    """Return the name of the scanner, its command, how it tells what it found, and its largest file."""
    most = parameters["most_bytes"]
    if parameters["command"]:
        command = [word.replace("{list}", str(listing)) for word in parameters["command"]]
        return command[0], command, parameters["pattern"], most
    running = (
        debian_packages.run_command(["systemctl", "is-active", "--quiet", "clamav-daemon.service"]).rc == 0
    )
    if running and shutil.which("clamdscan"):
        settings = clamav_database.read_configuration(clamav_database.CLAMD_CONF)
        version = debian_packages.run_command(["/usr/bin/clamdscan", "--version"]).output
        command = ["/usr/bin/clamdscan", "--fdpass", *CLAMAV_OPTIONS, f"--file-list={listing}"]
        return "ClamAV", command, CLAMAV_FOUND, min(most, clamd_most_bytes(settings, version))
    if shutil.which("clamscan"):
        most = min(most, CLAMAV_MOST_BYTES)
        # Four times that, as in ClamAV's own defaults: what is unpacked of an archive counts too.
        limits = [f"--max-filesize={most}", f"--max-scansize={min(4 * most, CLAMAV_MOST_BYTES)}"]
        command = ["/usr/bin/clamscan", *limits, *CLAMAV_OPTIONS, f"--file-list={listing}"]
        return "ClamAV", command, CLAMAV_FOUND, most
    return "", [], "", most


def clamd_most_bytes(settings: dict[str, list[str]], version: str) -> int:
    """Return the largest file that clamd scans; it passes over larger ones as if they were clean."""
    engine, _ = clamav_database.parse_daemon_version(version)
    # Unset: ClamAV 1 takes 100 MiB; before it was 25 MiB, which is the safe answer when no version is told.
    file_size = (100 if engine.partition(".")[0] not in ("", "0") else 25) * MEBIBYTE
    defaults = {"MaxFileSize": file_size, "MaxScanSize": 4 * file_size}
    if "LocalSocket" not in settings:
        defaults["StreamMaxLength"] = file_size  # a file goes to clamd as a stream then
    limits = [
        size_in_bytes(value, default)
        for name, default in defaults.items()
        for value in settings.get(name) or [""]
    ]
    return min([CLAMAV_MOST_BYTES, *(limit for limit in limits if limit)])


def size_in_bytes(value: str, default: int) -> int:
    """Return a size of ClamAV's settings, 0 for none; the default for what is no size."""
    match = re.fullmatch(r"(\d+)([KMG]?)", value.upper())
    return int(match[1]) * UNITS[match[2]] if match else default


CLAMAV_OPTIONS = ("--no-summary", "--infected", "--stdout")


def found_in(output: str, pattern: str, listed: dict[str, Seen]) -> dict[str, str]:
    """Return path and signature of what the scanner names, of the files it was given and of no others."""
    told = (re.match(pattern, line) for line in output.splitlines())
    pairs = ((match["path"], match["signature"]) for match in told if match)
    return {path: debian_packages.clean_text(signature)[:200] for path, signature in pairs if path in listed}


def write_list(path: Path, files: dict[str, Seen]) -> None:
    """Write the names for the scanner, root-only."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(target, "w", encoding="utf-8") as file:
        file.writelines(f"{name}\n" for name in files)


def quarantine(
    parameters: dict[str, Any], found: dict[str, str], listed: Listed, *, check: bool
) -> list[dict[str, Any]]:
    """Return an entry for each file found, moved where that is approved."""
    told = []
    for path, signature in sorted(found.items()):
        entry: dict[str, Any] = {"path": path, "signature": signature, "moved": False, "reason": ""}
        if not parameters["quarantine"] or check:
            entry["reason"] = (
                "moving was not approved" if not parameters["quarantine"] else "not in check mode"
            )
        else:
            about = {"signature": signature, "run": parameters["run"], "action": parameters["action"],
                     "moved_at": int(time.time())}  # fmt: skip
            try:
                record = move(path, listed.files[path], Path(parameters["directory"]), about)
                entry |= {"moved": True, **{key: record[key] for key in KEPT}}
            except (QuarantineError, OSError) as error:
                entry["reason"] = str(error)
        told.append(entry)
    return told


def moved_before(parameters: dict[str, Any]) -> list[dict[str, Any]]:
    """Return an entry for each file that an earlier call for the same part moved: its answer was lost."""
    if not parameters["quarantine"] or not parameters["action"]:
        return []
    mine = (parameters["run"], parameters["action"])
    return [
        {"path": record["path"], "signature": record["signature"], "moved": True, "reason": ""}
        | {key: record[key] for key in KEPT}
        for record in records(Path(parameters["directory"]))
        if (record.get("run"), record.get("action")) == mine
    ]


def scan(parameters: dict[str, Any], *, check: bool) -> dict[str, Any]:
    """Scan, and return the evidence."""
    began = time.monotonic()
    folder = Path(parameters["state_directory"]) / parameters["run"]
    listing = folder / "scan_host.list"
    before = moved_before(parameters)
    product, command, pattern, most_bytes = scanner(parameters, listing)
    listed = Listed({**parameters, "most_bytes": most_bytes})
    write_list(listing, listed.files)
    evidence: dict[str, Any] = {
        "product": product, "files": len(listed.files), "skipped": listed.skipped, "found": before,
        "complete": False, "problem": "", "seconds": 0.0,
    }  # fmt: skip
    if not product:
        evidence["problem"] = (
            "no scanner is on this host: neither clamdscan nor clamscan, and no other is named"
        )
        return evidence
    done = debian_packages.Finished(CLEAN, "")
    if listed.files:
        log = folder / "scan_host.log"
        done = host_unit.run_in_unit(UNIT, command, log=log, timeout=parameters["seconds"])
        if host_unit.is_running(UNIT):
            debian_packages.run_command(["systemctl", "stop", UNIT])
    found = quarantine(parameters, found_in(done.output, pattern, listed.files), listed, check=check)
    evidence["found"] = before + found
    evidence["seconds"] = round(time.monotonic() - began, 1)
    has_ended = done.rc == CLEAN or (done.rc == FOUND and bool(found))
    if not has_ended:
        tail = debian_packages.log_tail(done.output, 400)
        evidence["problem"] = f"the scanner ended with {done.rc}: {tail}"
    evidence["complete"] = has_ended and not listed.skipped
    return evidence


def main() -> None:
    """Run the module."""
    names = {"type": "list", "elements": "str", "required": True}
    number, text = {"type": "int", "required": True}, {"type": "str", "required": True}
    place = {"type": "path", "required": True}
    module = AnsibleModule(
        argument_spec={
            "paths": names, "left_out": names, "most_files": number, "most_bytes": number, "seconds": number,
            "command": names, "pattern": text, "quarantine": {"type": "bool", "required": True},
            "directory": place, "run": text, "action": {"type": "str", "default": ""},
            "state_directory": place,
        },
        supports_check_mode=True,
    )  # fmt: skip
    # A scan whose link was cut goes on: it is waited for, as long as one may take.
    patience = max(60, module.params["seconds"])
    with host_unit.only_call(Path(module.params["state_directory"]), patience, make=True) as is_alone:
        if not is_alone:
            module.fail_json(msg="another call is at work on this host", evidence={})
        evidence = scan(module.params, check=module.check_mode)
    changed = any(item["moved"] for item in evidence["found"])
    if evidence["problem"]:
        module.fail_json(
            msg=f"The scan is not complete: {evidence['problem']}", changed=changed, evidence=evidence
        )
    module.exit_json(changed=changed, evidence=evidence)


if __name__ == "__main__":
    main()
