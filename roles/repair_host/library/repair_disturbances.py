#!/usr/bin/python3
"""Ansible module: finds the known disturbances of a host and, when told to, does the approved cures.

The order kept here for each approved cure: look again; is it needed and allowed; refuse what is no longer as
approved; do it in a named unit that notes begin and end on the host; look again. Only that last look makes a
cure "done".
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from ansible.module_utils import debian_packages as packages
from ansible.module_utils import host_unit
from ansible.module_utils import repair_host_cure as cures
from ansible.module_utils import repair_host_look as looks
from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: repair_disturbances
short_description: Find known disturbances of this host and cure those that were approved
description:
  - Without C(act) it looks and changes nothing.
  - With it, it does the approved cures that are allowed and still needed, and proves each by looking again.
options:
  act: {type: bool, required: true, description: Whether to do the approved cures}
  expected: {type: dict, required: true, description: What the office expects of this host}
  approved: {type: list, elements: dict, default: [], description: The approved entries of the proposal}
  allowed: {type: list, elements: str, default: [], description: The cures that may be done at all}
  run: {type: str, default: "", description: Identifies the run in the marker left on the host}
  action: {type: str, default: "", description: Identifies the attempt; the same one does no cure twice}
  state_directory: {type: path, required: true, description: Where marker and log are kept on the host}
  lock_timeout: {type: int, required: true, description: Seconds to wait for a package manager}
  settle: {type: int, required: true, description: Seconds that a started unit has to stay up}
  sync_timeout: {type: int, required: true, description: Seconds to wait for the clock to be kept}
  timeout: {type: int, required: true, description: Seconds to wait for a cure}
  reattach: {type: bool, default: false, description: Read what came of work begun earlier and start none}
author: Rawat
"""
EXAMPLES = """
- name: Look
  repair_disturbances: {act: false, expected: {units: [nginx.service]}, state_directory: /var/lib/rawat}
"""
RETURN = """
evidence: {type: dict, returned: always, description: The evidence of the role repair_host}
"""

UNIT = "rawat-repair-host.service"
STARTS = {"start_unit", "start_time_sync"}
Entry = dict[str, Any]


class Host:
    """One call's work on one host."""

    def __init__(self, given: dict[str, Any], wanted: looks.Wanted, *, check_mode: bool) -> None:
        self.given = given
        self.wanted = wanted
        self.check_mode = check_mode
        self.directory: Path = Path(given["state_directory"]) / given["run"]
        approval = json.dumps([each["id"] for each in given["approved"]], sort_keys=True)
        digest = hashlib.sha256(f"{given['action']}:{approval}".encode()).hexdigest()[:16]
        self.marker = self.directory / f"repair_host-{digest}.json"
        self.log = self.directory / "repair_host.log"
        self.changed = False

    def noted(self, entry: Entry) -> Entry:
        """Return what an earlier call of this attempt noted about a cure."""
        noted: Entry = cures.read_marker(self.marker).get(entry["id"], {})
        return noted

    def look(self, entry: Entry) -> looks.Looked:
        """Look again for one disturbance."""
        return looks.look(self.wanted, (entry["code"],))

    def repair(self, entry: Entry) -> Entry:
        """Bring one approved cure to its outcome."""
        began = time.monotonic()
        result = {
            **{name: entry[name] for name in ("id", "code", "subject", "cure")},
            "reason": "",
            "detail": "",
            "proof": {},
            "log_tail": "",
            **self.outcome(entry),
        }
        result["freed_bytes"] = int(self.noted(entry).get("freed_bytes", 0))
        result["detail"] = packages.clean_text(str(result["detail"]))[:500]
        result["seconds"] = round(time.monotonic() - began, 1)
        return result

    def outcome(self, entry: Entry) -> Entry:
        """Do one approved cure if it may be done and is needed; return what is said of it."""
        before = self.look(entry)
        there = before.of(entry["code"], entry["subject"])
        unseen = before.why_unmeasured(entry["code"], entry["subject"])
        elsewhere = [each for each in before.not_here if each["code"] == entry["code"]]
        if elsewhere or unseen:
            told = (elsewhere or [unseen])[0] or {}
            return failed(told["reason"], told["detail"])
        named = {"unit_dead", "certificate_expired", "time_sync_off"}
        if entry["code"] in named and (entry["code"], entry["subject"]) not in self.wanted.names():
            return failed("not_expected")
        if not there:
            was_ours = self.noted(entry).get("tries", 0) > 0
            proof = proof_of(entry, before)
            return {"outcome": "done" if was_ours else "not needed", "proof": proof}
        if entry["cure"] not in self.given["allowed"]:
            return {"outcome": "not allowed", "reason": "not_allowed"}
        refusal = refused(entry, there)
        return refusal or self.cured(entry)

    def cured(self, entry: Entry) -> Entry:
        """Do a cure that is allowed, needed and as approved, and prove it."""
        if self.check_mode:
            return {"outcome": "not done (check mode)"}
        noted = self.noted(entry)
        if self.given["reattach"] or noted.get("outcome") == "ended":
            return failed(*left_behind(noted))
        if noted and entry["cure"] == "renew_certificate":
            # What a program of the office does twice is not known.
            return failed("broke_off")
        why = self.wait_for_packages(entry)
        if why:
            return failed("package_manager_busy", why)
        try:
            done = self.run(entry)
        except OSError as error:
            return failed("not_noted", str(error))
        return self.proven(entry, done)

    def wait_for_packages(self, entry: Entry) -> str:
        """Wait for whoever installs packages now; return who is still at it."""
        if entry["cure"] not in {"configure_packages", cures.CACHE}:
            return ""
        deadline = time.monotonic() + self.given["lock_timeout"]
        while True:
            asked = (cures.dnf_at_work(), *map(packages.lock_holder, packages.LOCKS))
            holders = [holder for holder in asked if holder]
            if not holders or time.monotonic() > deadline:
                return holders[0] if holders else ""
            time.sleep(host_unit.POLL_SECONDS)

    def run(self, entry: Entry) -> packages.Finished:
        """Run the cure in its unit."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        program = self.directory / "repair_host_cure.py"
        source = cures.__loader__.get_source(cures.__name__)
        order = {"marker": str(self.marker), "id": entry["id"], "cure": entry["cure"], "does": entry["does"]}
        write(program, source or "")
        write(self.directory / "repair_host.order.json", json.dumps(order))
        self.changed = True
        argv = [
            sys.executable,
            "-I",
            "-S",
            "-B",
            str(program),
            str(self.directory / "repair_host.order.json"),
        ]
        return host_unit.run_in_unit(UNIT, argv, log=self.log, timeout=self.given["timeout"])

    def proven(self, entry: Entry, done: packages.Finished) -> Entry:
        """Look again, and say what came of the cure."""
        tail = packages.log_tail(done.output)
        if host_unit.is_running(UNIT):
            return {**failed("still_at_work"), "log_tail": tail}
        why = self.why_not_steady(entry)
        after = self.look(entry)
        there = after.of(entry["code"], entry["subject"])
        unseen = after.why_unmeasured(entry["code"], entry["subject"])
        problem = str(self.noted(entry).get("problem", "")) or (tail if done.rc else "")
        told: Entry = {"outcome": "done", "proof": proof_of(entry, after), "log_tail": tail}
        if unseen:
            return {**told, **failed(unseen["reason"], unseen["detail"])}
        if there or why:
            reason = (
                "not_enough" if entry["code"] == "disk_full" else why or there[0]["reason"] or "still_there"
            )
            words = last_words(entry["subject"]) if entry["cure"] in STARTS else ""
            detail = "; ".join(each for each in (problem, words) if each)
            return {**told, **failed(reason, detail)}
        return told

    def why_not_steady(self, entry: Entry) -> str:
        """Return why what was started does not count as up: it has to stay up, and a clock has to be kept."""
        if entry["cure"] == "start_unit":
            first = looks.unit_told(entry["subject"])
            time.sleep(self.given["settle"])
            last = looks.unit_told(entry["subject"])
            same = all(first.get(name) == last.get(name) for name in ("NRestarts", "MainPID"))
            return "" if same and last["ActiveState"] in {"active", "inactive"} else "did_not_stay_up"
        if entry["cure"] == "start_time_sync":
            deadline = time.monotonic() + self.given["sync_timeout"]
            while looks.is_synchronized() is False and time.monotonic() < deadline:
                time.sleep(1)
        return ""


def failed(reason: str, detail: str = "") -> Entry:
    """Return what is said of a cure that failed."""
    return {"outcome": "failed", "reason": reason, "detail": detail}


def last_words(unit: str) -> str:
    """Return what systemd and the unit itself said last: most often the reason that it is down."""
    asked = ["journalctl", "--quiet", "--no-pager", "--lines=4", "--output=cat", "--unit", unit]
    told = packages.clean_text(packages.run_command(asked, looks.COMMAND_SECONDS).output)
    return "; ".join(line.strip() for line in told.splitlines() if line.strip())[:400]


def left_behind(noted: Entry) -> tuple[str, str]:
    """Return why a disturbance is still there in an attempt that may do nothing more about it."""
    if not noted:
        return "not_begun", ""
    if noted.get("outcome") == "ended":
        return "tried_already", str(noted.get("problem", ""))
    return "broke_off", "restarted" if noted.get("boot_id") != cures.boot_id() else ""


def refused(entry: Entry, there: list[Entry]) -> Entry | None:
    """Return why an approved cure may not be done as it was approved, None when it may.

    What it would do now is worked out anew; nothing that the approval says is done on its word alone.
    """
    now = next((other for other in there if other["cure"] == entry["cure"]), None)
    if not entry["cure"] or now is None:
        told = next((other for other in there if other["reason"]), there[0])
        return failed(told["reason"] or "not_as_approved", told["detail"])
    approved, found = entry["does"], now["does"]
    if entry["cure"] in cures.PLACES:
        # Files that came since stay, and of the approved ones those that are still the same go.
        return None
    if entry["cure"] == "configure_packages":
        more = [each for each in found["packages"] if bare(each) not in map(bare, approved["packages"])]
        names = ", ".join(each["package"] for each in more)
        return failed("not_as_approved", names) if more else None
    if entry["cure"] == "vacuum_journal":
        same = approved.get("keep_bytes") == found["keep_bytes"]
        return None if same else failed("not_as_approved", str(found["keep_bytes"]))
    return None if approved == found else failed("not_as_approved")


def bare(package: Entry) -> tuple[str, str]:
    """Return package and version: how far dpkg got with it may have changed."""
    return str(package.get("package")), str(package.get("version"))


def proof_of(entry: Entry, looked: looks.Looked) -> Entry:
    """Return what the last look saw of the disturbance."""
    there = looked.of(entry["code"], entry["subject"])
    if there or looked.why_unmeasured(entry["code"], entry["subject"]):
        return dict(there[0]["found"]) if there else {}
    if entry["code"] == "disk_full":
        return looks.usage(entry["subject"]) if os.path.ismount(entry["subject"]) else {}
    if entry["code"] in {"unit_dead", "time_sync_off"} and entry["subject"]:
        told = looks.unit_told(entry["subject"])
        return {"state": told["ActiveState"], "enabled": told["UnitFileState"] or "no"}
    if entry["code"] == "certificate_expired":
        ends = looks.certificate_end.end_of_certificate(entry["subject"])
        return {"days_left": round((ends - time.time()) / 86400, 1)}
    return {}


def write(path: Path, text: str) -> None:
    """Write a file that only root reads, whole, in the place of an earlier one."""
    path.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o600), "w", encoding="utf-8") as stream:
        stream.write(text)


def wanted_of(expected: Entry) -> looks.Wanted:
    """Return what the office expects, in its types."""
    return looks.Wanted(
        units=tuple(expected["units"]),
        certificates=tuple(expected["certificates"]),
        certificate_days=int(expected["certificate_days"]),
        time_sync=bool(expected["time_sync"]),
        time_service=expected["time_service"],
        disk_percent=int(expected["disk_percent"]),
        journal_keep_bytes=int(expected["journal_keep_megabytes"]) * 1024 * 1024,
        log_days=int(expected["log_days"]),
    )


def evidence_of(looked: looks.Looked, outcome: str, done: list[Entry]) -> Entry:
    """Return the evidence of the role."""
    return {"outcome": outcome, **looked._asdict(), "cures": done}


def act(host: Host) -> tuple[Entry, str]:
    """Do the approved cures; return the evidence and, when the host failed, why."""
    order = {code: number for number, code in enumerate(looks.CODES)}
    approved = sorted(host.given["approved"], key=lambda entry: order.get(entry["code"], len(order)))
    done = [host.repair(entry) for entry in approved]
    settle_disks(done)
    bad = [cure for cure in done if cure["outcome"] in {"failed", "not allowed"}]
    waits = [cure for cure in done if cure["outcome"] == "not done (check mode)"]
    outcome = "failed" if bad else "not repaired (check mode)" if waits else "repaired"
    said = "; ".join(f"{c['code']} {c['subject']}: {c['reason']} {c['detail']}".strip() for c in bad)
    return evidence_of(looks.look(host.wanted), outcome, done), said and f"Not everything is repaired: {said}"


def settle_disks(done: list[Entry]) -> None:
    """Count a cure that freed too little as done when a later one of the same disk freed the rest."""
    freed = {
        c["subject"] for c in done if c["code"] == "disk_full" and c["outcome"] in {"done", "not needed"}
    }
    for cure in done:
        if cure["code"] == "disk_full" and cure["reason"] == "not_enough" and cure["subject"] in freed:
            cure.update(outcome="done", reason="", detail="")


def main() -> None:
    """Run the module."""
    number = {"type": "int", "required": True}
    module = AnsibleModule(
        argument_spec={
            "act": {"type": "bool", "required": True},
            "expected": {"type": "dict", "required": True},
            "approved": {"type": "list", "elements": "dict", "default": []},
            "allowed": {"type": "list", "elements": "str", "default": []},
            "run": {"type": "str", "default": ""},
            "action": {"type": "str", "default": ""},
            "state_directory": {"type": "path", "required": True},
            **dict.fromkeys(("lock_timeout", "settle", "sync_timeout", "timeout"), number),
            "reattach": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    wanted = wanted_of(module.params["expected"])
    if not module.params["act"]:
        module.exit_json(changed=False, evidence=evidence_of(looks.look(wanted), "looked", []))
    directory, timeout = Path(module.params["state_directory"]), module.params["timeout"]
    host = Host(module.params, wanted, check_mode=module.check_mode)
    try:
        with host_unit.only_call(directory, timeout, make=not module.check_mode) as is_alone:
            if not is_alone or not host_unit.wait_for_end(UNIT, timeout):
                module.fail_json(msg=f"{UNIT} of an earlier call is still at work on this host.", evidence={})
            evidence, failure = act(host)
    except OSError as error:
        module.fail_json(msg=f"Not repaired, the work could not be noted down: {error}", evidence={})
    changed = host.changed or evidence["outcome"] == "not repaired (check mode)"
    if failure:
        module.fail_json(msg=failure, changed=changed, evidence=evidence)
    module.exit_json(changed=changed, evidence=evidence)


if __name__ == "__main__":
    main()
