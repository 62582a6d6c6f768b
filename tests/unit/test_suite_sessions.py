"""What a suite asks over one connection is answered as over one each, and what is lost is lost."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator

import pytest
from testinfra.backend.ssh import SshBackend

from runner.executors import suite_limits, suite_sessions
from runner.executors.suite_sessions import LostError, Session

ASKED = [
    "echo told; echo said >&2; exit 3",
    "printf '\\377\\000'",
    "pwd; echo $0",
    "cat",
    "echo 'a  b' \"$HOME\"; false",
    "kill -9 $$",
    "no-such-command-anywhere 2>/dev/null",
    "head -c 300000 /dev/zero | tr '\\0' x",
    "true",
]


def started() -> Session:
    """Return a session with this machine, as the far end of ssh would be."""
    return Session(
        ["/bin/sh", "-c", suite_sessions._starting().replace("python3", shlex.quote(sys.executable))]
    )


@pytest.fixture
def session() -> Iterator[Session]:
    opened = started()
    assert opened.begin()
    yield opened
    opened.end()


@pytest.mark.parametrize("command", ASKED)
def test_a_command_comes_to_what_it_comes_to_the_ordinary_way(session: Session, command: str) -> None:
    # What sshd does: the user's shell, from the home folder; here from where both are.
    ordinary = suite_limits.run_local(SshBackend("h"), f"${{SHELL:-/bin/sh}} -c {shlex.quote(command)}")

    status, told, said = session.run(command.encode())

    # ssh ends with 255 when a signal ended the command; a local shell says 128 and its number.
    assert status == (ordinary.rc if ordinary.rc < 128 else 255)
    assert told == ordinary.stdout_bytes
    assert (said == ordinary.stderr_bytes) or ordinary.rc >= 128


def test_a_session_takes_one_command_after_another(session: Session) -> None:
    assert [session.run(b"echo %d" % number)[1] for number in range(50)] == [b"%d\n" % n for n in range(50)]


def test_a_flood_is_cut_on_the_host_and_counts_as_lost(session: Session) -> None:
    with pytest.raises(LostError, match=r"^\[truncated\] host mengirim lebih dari"):
        session.run(b"cat /dev/zero")


def test_a_command_that_never_ends_is_left_at_the_limit(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(suite_limits, "SECONDS", 0.5)

    with pytest.raises(LostError, match="tidak selesai"):
        session.run(b"while :; do echo x; sleep 0.1; done")


@pytest.mark.parametrize(
    "answer", ["255 99999999 0", "0 -1 0", "hello", "0 0 0 0", "x" * 5000, "0 1 0\\nab", "1"]
)
def test_a_host_that_answers_otherwise_than_the_program_is_lost(answer: str) -> None:
    liar = Session(["/bin/sh", "-c", f"echo RAWAT-READY; read size; printf '{answer}\\n'"])
    assert liar.begin()

    with pytest.raises(LostError):
        liar.run(b"true")
    liar.end()


@pytest.mark.parametrize("said", ["exit 127", "yes greeting", "echo hello"])
def test_without_the_program_there_is_no_session(said: str) -> None:
    assert Session(["/bin/sh", "-c", said]).begin() is False


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> SshBackend:
    """Return a backend whose ssh is this machine's shell, with the plugin's way of running."""
    monkeypatch.setattr(suite_sessions, "SESSIONS", {})
    made = SshBackend("h")
    monkeypatch.setattr(suite_sessions, "_ordinary", lambda *_: "ordinary")
    return made


def opened(backend: SshBackend, session: Session | None) -> None:
    suite_sessions.SESSIONS[json.dumps(suite_sessions._argv(backend, ""))] = session


def test_where_there_is_no_session_the_ordinary_way_is_gone(backend: SshBackend) -> None:
    opened(backend, Session(["/bin/sh", "-c", "exit 127"]))

    assert [suite_sessions.run_ssh(backend, "true") for _ in range(2)] == ["ordinary", "ordinary"]


def test_a_lost_connection_is_no_answer_and_nothing_is_sent_twice(backend: SshBackend) -> None:
    lost = Session(["/bin/sh", "-c", "echo RAWAT-READY; read size; exit 1"])
    opened(backend, lost)

    with pytest.raises(RuntimeError) as failed:
        suite_sessions.run_ssh(backend, "true")
    assert failed.value.args[0].rc == 255
    assert suite_sessions.run_ssh(backend, "true") == "ordinary"


@pytest.mark.usefixtures("backend")
def test_a_backend_with_a_password_or_a_way_of_its_own_goes_the_ordinary_way() -> None:
    assert suite_sessions.session_of(SshBackend("user:secret@h"))[1] is None
    assert suite_sessions.session_of(type("Other", (SshBackend,), {})("h"))[1] is None
