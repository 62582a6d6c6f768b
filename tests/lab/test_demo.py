"""`make demo`, driven through a pty that answers the prompts as the four officials would."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pexpect
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1800)]

ROOT = Path(__file__).parent.parent.parent
RAWAT = str(Path(sys.executable).with_name("rawat"))
PASSPHRASE = "rawat-lab"
LAB = "demotest"


class Officials:
    """Answers the prompts of a run; the first two answers are mistakes that a person would make."""

    def __init__(self, inventory: Path) -> None:
        self.keys = [str(inventory / "keys" / "kabid")]
        self.outcomes = ["1", "belum"]
        self.reasons = ["", "Daftar web2 belum lengkap"]
        self.decided = 0

    def answer(self, prompt: int) -> str:
        if prompt == 0:
            self.decided += 1
            return self.outcomes.pop(0) if self.outcomes else "1"
        if prompt == 1:
            return self.reasons.pop(0) if self.reasons else ""
        if prompt == 2:
            return self.keys.pop(0) if self.keys else ""
        if prompt in OPERATOR:
            return OPERATOR[prompt]
        return PASSPHRASE


PROMPTS = [
    r"Decision \(number or word\): $",
    r"Reason[^\r\n]*: $",
    r"Key of [^\r\n]*: $",
    r"[Ee]nter passphrase[^\r\n]*: $",
    r"which was it\? [^\r\n]*\) $",
    r"why\? \(Enter: later\) $",
]
# What the operator answers: the conditions were normal, a reason is left for later.
OPERATOR = {4: "normal", 5: ""}


@pytest.fixture(scope="module", name="demo")
def _demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str, Officials]]:
    """Run the demo once; give its folder, its screen and the officials who answered."""
    folder = tmp_path_factory.mktemp("demo")
    inventory = folder / "inventory"
    environment = os.environ | {
        "RAWAT_RUNS": str(folder / "runs"),
        "RAWAT_ARCHIVE": str(folder / "archive"),
        "TERM": "xterm",
        "LANG": "C.UTF-8",
    }
    for name in ("SSH_ASKPASS", "SSH_AUTH_SOCK", "MAKEFLAGS", "MAKELEVEL"):
        environment.pop(name, None)
    officials = Officials(inventory)
    screen = (folder / "screen.txt").open("w", encoding="utf-8")
    child = pexpect.spawn(
        "make",
        ["--no-print-directory", "demo", f"LAB={LAB}", f"INVENTORY={inventory}"],
        cwd=str(ROOT),
        env=environment,
        encoding="utf-8",
        codec_errors="replace",
        timeout=600,
        dimensions=(40, 120),
    )
    child.logfile_read = screen
    try:
        while (prompt := child.expect([*PROMPTS, pexpect.EOF])) < len(PROMPTS):
            child.sendline(officials.answer(prompt))
        child.close()
        screen.close()
        shown = (folder / "screen.txt").read_text(encoding="utf-8")
        assert child.exitstatus == 0, shown[-4000:]
        yield folder, shown, officials
    finally:
        child.close(force=True)
        screen.close()
        subprocess.run([RAWAT, "lab", "down", "--name", LAB], check=True, timeout=300, cwd=ROOT)


def events(folder: Path) -> list[dict[str, object]]:
    """Return the journal of the demo's run."""
    (journal,) = (folder / "runs").glob("*/journal.jsonl")
    return [json.loads(line) for line in journal.read_text(encoding="utf-8").splitlines()]


def test_demo_goes_through_all_rows(demo: tuple[Path, str, Officials]) -> None:
    finished = [event["step"] for event in events(demo[0]) if event["event"] == "step_finished"]

    # Row 3 sends back once; row 5 watches 6 to 8 and so is finished after them.
    assert finished == [1, 2, 3, 2, 3, 4, 6, 7, 8, 5, 9, 10, 11, 12, 13]


def test_wrong_key_and_missing_approval_are_told_and_asked_again(demo: tuple[Path, str, Officials]) -> None:
    _, screen, officials = demo

    assert "is not the key of Nama Analis" in screen
    assert officials.decided == 7


def test_canary_fails_its_test_and_is_rolled_back(demo: tuple[Path, str, Officials]) -> None:
    done = {
        (event["step"], event["part"]): event["hosts"]
        for event in events(demo[0])
        if event["event"] == "action_finished"
    }

    assert done[7, "1"] == {"web1": "ok"}
    assert done[7, "1-check"] == {"web1": "failed"}
    assert "web1" in done[8, "recover"]
    assert set(done[8, "retest"].values()) == {"ok"}


def test_report_says_that_the_canary_was_rolled_back(demo: tuple[Path, str, Officials]) -> None:
    (report,) = (demo[0] / "archive").rglob("*-laporan-hasil-update-ratified.html")
    text = report.read_text(encoding="utf-8")

    assert "web1" in text
    assert "dikembalikan" in text
    assert "Kondisi pelaksanaan: <b>normal</b> (menurut Nama Pengelola" in text


def test_archive_verifies_with_rawat_and_with_standard_tools(demo: tuple[Path, str, Officials]) -> None:
    (bag,) = (path.parent for path in (demo[0] / "archive").rglob("bagit.txt"))
    verified = subprocess.run([RAWAT, "verify", str(bag)], check=False, capture_output=True, timeout=120)
    plain = subprocess.run(
        ["sha256sum", "--quiet", "--check", "manifest-sha256.txt"], check=False, cwd=bag, timeout=120
    )

    assert (verified.returncode, plain.returncode) == (0, 0), verified.stderr


def test_one_flipped_byte_is_named(demo: tuple[Path, str, Officials], tmp_path: Path) -> None:
    (bag,) = (path.parent for path in (demo[0] / "archive").rglob("bagit.txt"))
    copy = tmp_path / bag.name
    subprocess.run(["cp", "-a", str(bag), str(copy)], check=True, timeout=60)
    (report,) = copy.rglob("*-laporan-hasil-update-ratified.pdf")
    data = bytearray(report.read_bytes())
    data[len(data) // 2] ^= 1
    report.chmod(0o600)
    report.write_bytes(data)

    done = subprocess.run([RAWAT, "verify", str(copy)], check=False, capture_output=True, timeout=120)

    assert done.returncode == 5
    assert report.name in "".join(done.stderr.decode().split())
