"""Another user of the machine reads and changes nothing of a run, whatever the operator's umask. Row 45."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from unit.record_builder import make_closed_run, make_keys, make_office

from runner import archive
from runner.executors.base import ActionRequest
from runner.executors.playbook import PlaybookExecutor
from runner.executors.verification import VerificationExecutor
from runner.files import make_private_dir

pytestmark = pytest.mark.lab  # needs root: the other user is nobody

ROOT = Path(__file__).parents[2]
HOST = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
PLAYBOOK = """\
- name: Publish
  hosts: all
  gather_facts: false
  tasks:
    - name: Publish
      ansible.builtin.set_stats:
        data: {probe: {good: true}}
        per_host: true
        aggregate: false
"""
# Tries every path given to it, for reading, writing and listing, and prints what it got.
TRIES = """\
import json, os, sys
got = []
for path in json.load(sys.stdin):
    for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDONLY | os.O_DIRECTORY):
        try:
            os.close(os.open(path, flags))
            got.append(path)
        except OSError:
            pass
    try:
        open(os.path.join(os.path.dirname(path), "planted"), "x").close()
        got.append("planted beside " + path)
    except OSError:
        pass
print(json.dumps(got))
"""


@pytest.fixture(name="place")
def _place() -> Iterator[Path]:
    """Give a folder that everybody may enter and list, with an operator who is careless about new files."""
    folder = Path(tempfile.mkdtemp(prefix="rawat-other-users-"))
    folder.chmod(0o755)
    before = os.umask(0)
    yield folder
    os.umask(before)
    shutil.rmtree(folder)


def work(place: Path) -> Path:
    """Make a whole run with its archive, and do a playbook and tests in a scratch folder of it."""
    # What the office writes itself is refused where everybody may write it.
    careless = os.umask(0o022)
    keys = make_keys(place / "keys")
    os.umask(careless)
    run = make_closed_run(make_office(place / "tree", keys))
    archive.seal(run, place / "archive")
    playbook, inventory = place / "play.yml", place / "hosts.json"
    playbook.write_text(PLAYBOOK, encoding="utf-8")
    inventory.write_text(json.dumps({"all": {"hosts": {"alpha": HOST}}}), encoding="utf-8")
    for number, executor in enumerate((PlaybookExecutor(ROOT), VerificationExecutor())):
        scratch = make_private_dir(run.work / str(number))
        request = ActionRequest(
            run="r",
            step=1,
            attempt=1,
            part="action",
            hosts=("alpha",),
            inventory=inventory,
            work=scratch,
            host_state=make_private_dir(scratch / "host_state"),
            playbook=playbook,
            suite=ROOT / "tests" / "post_update",
        )
        assert executor.execute(request, lambda _event: None)[0].status in {"ok", "failed", "unknown"}
    return run.path


def test_nobody_else_reads_or_writes_anything_of_a_run(place: Path) -> None:
    run = work(place)
    tops = (run, place / "archive")
    everything = [path for top in tops for path in [top, *top.rglob("*")]]
    kinds = {path.name for path in everything}
    assert {
        "journal.jsonl",
        "channel.jsonl",
        "request.json",
        "ansible.log",
        "pytest.log",
        "register.jsonl",
    } <= kinds

    done = subprocess.run(
        ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "/usr/bin/python3", "-c", TRIES],
        input=json.dumps([str(path) for path in everything]),
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    )
    # Private by themselves, too, and not only because of the folder above them.
    loose = [str(path) for path in everything if path.lstat().st_mode & 0o077 and not path.is_symlink()]

    assert json.loads(done.stdout) == []
    assert loose == []
