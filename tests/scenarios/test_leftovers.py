"""A runner that is killed leaves nothing working: no later task of a playbook, no test, no ssh."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from runner.executors import processes

ROOT = Path(__file__).parents[2]
# A runner of its own process; what it runs stands in its arguments: executor, work folder, playbook or suite.
RUNNER = """
    import sys
    from pathlib import Path
    from runner.executors.base import ActionRequest
    from runner.executors.playbook import PlaybookExecutor
    from runner.executors.verification import VerificationExecutor

    kind, folder, what, root = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4])
    given = {"playbook": what} if kind == "playbook" else {"suite": what}
    executor = PlaybookExecutor(root) if kind == "playbook" else VerificationExecutor()
    request = ActionRequest(run="r", step=1, attempt=1, part="1", hosts=("alpha",), changes=True,
                            inventory=folder / "hosts.yml", work=folder / "work", host_state=folder, **given)
    executor.execute(request, lambda event: None)
"""
PLAYBOOK = """
    - hosts: all
      gather_facts: false
      tasks:
        - name: First
          ansible.builtin.shell: touch {folder}/first; sleep 3
          ignore_errors: true
        - name: Next
          ansible.builtin.file: {{path: "{folder}/next", state: touch, mode: "0600"}}
"""
SUITE = """
    import time
    from pathlib import Path

    def test_first(host):
        Path("{folder}/first").touch()
        time.sleep(3)

    def test_next(host):
        Path("{folder}/next").touch()
"""


def start_runner(kind: str, folder: Path) -> subprocess.Popen[bytes]:
    """Start a runner on this machine as the only host, and return it once the first task is at work."""
    text = {"playbook": PLAYBOOK, "suite": SUITE}[kind].format(folder=folder)
    place = folder / ("play.yml" if kind == "playbook" else "tests/suite/test_two.py")
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(textwrap.dedent(text), encoding="utf-8")
    (folder / "ansible.cfg").write_text("[defaults]\ngathering = explicit\n", encoding="utf-8")
    host = f"ansible_connection: local, ansible_python_interpreter: {sys.executable}"
    (folder / "hosts.yml").write_text(f"all: {{hosts: {{alpha: {{{host}}}}}}}\n", encoding="utf-8")
    what = place if kind == "playbook" else place.parent
    command = [sys.executable, "-c", textwrap.dedent(RUNNER), kind, folder, what, ROOT]
    runner = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (folder / "first").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert (folder / "first").exists(), "the first task did not begin"
    return runner


def await_end(value: str, seconds: float) -> list[int]:
    """Wait until no marked process is left; return those that are."""
    deadline = time.monotonic() + seconds
    while (left := processes.marked(value)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def kill_and_look(kind: str, folder: Path) -> float:
    """Kill a runner in its first task; return how long its processes lived on, the next task never begun."""
    runner = start_runner(kind, folder)
    action = processes.mark(folder / "work")
    before = processes.marked(action)

    runner.kill()
    runner.wait()
    killed = time.monotonic()
    left = await_end(action, 15)
    lived = time.monotonic() - killed

    assert before
    assert left == []
    time.sleep(3)
    assert not (folder / "next").exists()
    return lived


@pytest.mark.parametrize("kind", ["playbook", "suite"])
def test_nothing_of_a_killed_runner_goes_on_to_the_next_task(tmp_path: Path, kind: str) -> None:
    kill_and_look(kind, tmp_path)


@pytest.mark.campaign
@pytest.mark.parametrize("kind", ["playbook", "suite"])
def test_twenty_times_nothing_of_a_killed_runner_goes_on(tmp_path: Path, kind: str) -> None:
    lived = [kill_and_look(kind, tmp_path / str(number)) for number in range(20)]
    print(f"\nleftovers, {kind}: 20 kills, 0 left, 0 next tasks, gone after {max(lived):.1f} s at most")


def test_a_killed_runner_and_its_warden_are_made_good_by_the_next_runner(tmp_path: Path) -> None:
    runner = start_runner("playbook", tmp_path)
    action = processes.mark(tmp_path / "work")
    command = b"runner.executors.warden"
    wardens = [
        pid for pid in processes.marked(action) if command in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]

    runner.kill()
    for pid in wardens:
        os.kill(pid, signal.SIGKILL)
    runner.wait()
    processes.kill_marked(action)

    assert len(wardens) == 1
    assert processes.marked(action) == []
    time.sleep(3)
    assert not (tmp_path / "next").exists()
