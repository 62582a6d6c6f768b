"""A whole run whose documents officials sign, by commands to its archive: `make campaign-signatures`."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pexpect
import pikepdf
import pytest
from certificates import PASSPHRASE
from unattended import RAWAT, ROOT, SECONDS, SOP, Unattended

pytestmark = [pytest.mark.campaign, pytest.mark.lab, pytest.mark.timeout(1800)]

# What a person is asked after a decision at a terminal, and answers.
SIGNED, CERTIFICATE, SECRET, END = range(4)
QUESTIONS = [r"\[y/N\] $", r"Certificate of [^\r\n]*: $", r"Passphrase of [^\r\n]*: $", pexpect.EOF]


@dataclass
class Signing(Unattended):
    """The command line of an office that signs its documents."""

    hosts: Path = Path()

    @property
    def inventory(self) -> Path:
        return self.hosts

    def status(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.rawat("status", "--json"))
        return told

    def go_on(self) -> str:
        """Resume, and return how the run stands."""
        with self.start("resume") as child:
            shown, _ = child.communicate(timeout=SECONDS)
        assert child.returncode in {0, 3}, shown[-3000:]
        return str(self.status()["state"])

    def decide(self) -> None:
        """Let the awaited official decide as the row hopes for."""
        awaited = self.status()["awaited"]
        who, outcome = awaited["officials"][0], awaited["outcomes"][0]
        self.rawat("decide", "--official", who, "--outcome", outcome, "--gate", awaited["code"])

    def decide_at_a_terminal(self) -> str:
        """Let him do so in person: he is shown the gate and asked, and then signs at once."""
        awaited = self.status()["awaited"]
        who, outcome = awaited["officials"][0], awaited["outcomes"][0]
        child = pexpect.spawn(
            RAWAT,
            ["decide", "--official", who, "--outcome", outcome],
            cwd=str(ROOT),
            env=self.environment | {"TERM": "xterm", "LANG": "C.UTF-8"},
            encoding="utf-8",
            timeout=120,
            dimensions=(40, 120),
        )
        answers = {SIGNED: "y", CERTIFICATE: "", SECRET: PASSPHRASE}
        shown = ""
        while (asked := child.expect(QUESTIONS)) != END:
            shown += f"{child.before}{child.after}"
            child.sendline(answers[asked])
        shown += str(child.before)
        child.close()
        assert child.exitstatus == 0, shown[-3000:]
        assert PASSPHRASE not in shown
        return shown

    def sign(self, official: str, code: str) -> str:
        """Sign without a terminal, the passphrase by a descriptor."""
        reading, writing = os.pipe()
        os.write(writing, f"{PASSPHRASE}\n".encode())
        os.close(writing)
        try:
            done = subprocess.run(
                [RAWAT, "sign", "--official", official, "--document", code, "--passphrase-fd", str(reading)],
                check=False,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                env=self.environment,
                cwd=ROOT,
                pass_fds=[reading],
                timeout=SECONDS,
            )
        finally:
            os.close(reading)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module", name="office")
def _office(tmp_path_factory: pytest.TempPathFactory, lab_inventory: Path) -> Signing:
    """Give an office with one run done to its end; the verifier signs apart, the ratifier at once."""
    office = Signing(tmp_path_factory.mktemp("signed"), lab_inventory)
    office.rawat("run", SOP, "-i", str(lab_inventory), "--failure-budget", "1", expect=3)
    while (told := office.status())["state"] != "closed":
        if told["state"] == "waiting" and told["row"] == 11:
            shown = office.decide_at_a_terminal()
            assert "row 11: ditetapkan, decided by Nama Kepala Bidang" in shown
            assert "go on with: rawat resume" in shown
        elif told["state"] == "waiting":
            office.decide()
        elif told["state"] == "signature":
            # Nobody has resumed the run since the decision.
            assert office.journal()[-3]["event"] == "decision_made"
            office.sign(told["signature"]["official"], told["signature"]["code"])
        else:
            office.go_on()
    return office


def test_both_signed_the_very_same_file(office: Signing) -> None:
    signed = [each for each in office.journal() if each["event"] == "document_signed"]
    assert [(each["person"]["id"], each["version"]) for each in signed] == [
        ("pranata", "verified"),
        ("kabid", "ratified"),
    ]
    first, second = ((office.bag / "data" / each["files"][0]["path"]).read_bytes() for each in signed)
    assert second.startswith(first)


def test_all_three_judges_find_the_archive_sound(office: Signing) -> None:
    assert "verified: archive" in office.rawat("verify", str(office.bag))
    assert "verified: register of 1 archives" in office.rawat("verify", str(office.folder / "archive"))
    done = subprocess.run(
        ["sh", "verifikasi.sh"], cwd=office.bag, check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.startswith("SAH: ")) == (0, True), done.stdout + done.stderr


def test_each_stamp_lies_in_its_own_room_on_the_page(office: Signing) -> None:
    last = [each for each in office.journal() if each["event"] == "document_signed"][-1]
    with pikepdf.open(office.bag / "data" / last["files"][0]["path"]) as pdf:
        rooms = pdf.Root.PieceInfo.Rawat.Private
        boxes = []
        for page in pdf.pages:
            left, bottom, right, top = (float(side) for side in page.mediabox)
            for note in page.get("/Annots", []):
                if note.get("/FT") == "/Sig":
                    box = [float(side) for side in note.Rect]
                    assert left < box[0] < box[2] < right
                    assert bottom < box[1] < box[3] < top
                    boxes.append(box)
    assert len(boxes) == 2, rooms
    one, other = boxes
    beside = one[2] <= other[0] or other[2] <= one[0]
    above = one[3] <= other[1] or other[3] <= one[1]
    assert beside or above


def test_a_byte_of_a_signed_document_is_missed_by_neither(office: Signing, tmp_path: Path) -> None:
    copy = tmp_path / office.bag.name
    subprocess.run(["cp", "-a", str(office.bag), str(copy)], check=True)
    signed = next(copy.glob("data/documents/*-ratified-signed.pdf"))
    data = bytearray(signed.read_bytes())
    data[len(data) // 2] ^= 1
    signed.write_bytes(data)
    assert signed.name in office.rawat("verify", str(copy), expect=5).replace("\n", "")
    done = subprocess.run(["sh", "verifikasi.sh"], cwd=copy, check=False, capture_output=True, text=True)
    assert (done.returncode, signed.name in done.stdout) == (5, True)
