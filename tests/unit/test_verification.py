"""What the results of tests come to per host: a real pytest and testinfra, on hosts that need no network."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from textwrap import dedent

import pytest

from runner.executors import processes, verification
from runner.executors.base import ActionRequest, HostResult, ProgressEvent
from runner.executors.junit import HostTest, ResultsError, read_junit
from runner.executors.verification import VerificationExecutor, judge

LOCAL = {"ansible_connection": "local"}
NOBODY_LISTENS = {
    "ansible_connection": "ssh",
    "ansible_host": "127.0.0.1",
    "ansible_port": 1,
    "ansible_ssh_common_args": "-F /dev/null -o ConnectTimeout=5 -o ControlMaster=no -o BatchMode=yes",
}
PASSING = '''
def test_fine(host):
    """Semuanya baik."""
    assert host.run("true").rc == 0
'''


class Office:
    """A checkout with one suite, and an inventory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.told: list[ProgressEvent] = []
        (root / "ansible.cfg").write_text("[defaults]\n")
        (root / "state").mkdir()

    def test(
        self,
        suite: str,
        hosts: dict[str, dict[str, object]],
        *,
        timeout: float = 120,
        names: tuple[str, ...] = (),
    ) -> dict[str, HostResult]:
        folder = self.root / "tests" / "suite"
        folder.mkdir(parents=True)
        (folder / "test_suite.py").write_text(dedent(suite))
        (folder / "pytest.ini").write_text("[pytest]\n")
        inventory = self.root / "hosts.json"
        inventory.write_text(json.dumps({"all": {"hosts": hosts}}))
        self.request = ActionRequest(
            run="run",
            step=8,
            attempt=1,
            part="suite",
            hosts=names or tuple(hosts),
            inventory=inventory,
            work=self.root / "work",
            host_state=self.root / "state",
            suite=folder,
            phase="after-rollback",
            timeout=timeout,
        )
        results = VerificationExecutor().execute(self.request, self.told.append)
        assert [result.host for result in results] == list(self.request.hosts)
        return {result.host: result for result in results}


@pytest.fixture(name="office")
def _office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def executed(result: HostResult) -> list[dict[str, str]]:
    found: list[dict[str, str]] = result.results["verification"]["tests"]
    return found


def test_host_whose_tests_passed_is_ok(office: Office) -> None:
    found = office.test(PASSING, {"alpha": LOCAL})["alpha"]

    assert (found.status, found.failure) == ("ok", None)
    assert found.results["verification"] == {
        "tests": [{"name": "test_fine", "title": "test_fine", "outcome": "passed", "message": ""}],
        "passed": 1,
        "failed": 0,
    }


def test_failed_test_fails_its_host_only_and_says_why(office: Office) -> None:
    suite = """
        def test_named(host):
            name = host.backend.get_hostname()
            assert name != "beta", f"layanan tidak aktif di {name}"
    """
    found = office.test(suite, {"alpha": LOCAL, "beta": LOCAL})

    assert [result.status for result in found.values()] == ["ok", "failed"]
    assert found["beta"].failure
    assert found["beta"].failure.message == "layanan tidak aktif di beta"
    assert found["beta"].results["verification"]["failed"] == 1


def test_what_a_host_says_cannot_steer_a_terminal_or_fill_a_document(office: Office) -> None:
    suite = r"""
        def test_loud(host):
            assert False, host.run(r"printf 'a\033[2Jb\342\200\256c%5000s' x").stdout
    """
    message = executed(office.test(suite, {"alpha": LOCAL})["alpha"])[0]["message"]

    assert "\x1b" not in message
    assert "\u202e" not in message
    assert "U+202E" in message
    assert len(message) < 700


def test_host_cannot_pretend_to_have_been_unreachable(office: Office) -> None:
    suite = """
        def test_forged(host):
            said = host.run("echo 'RuntimeError: CommandResult(exit_status=255)'").stdout
            assert False, said
    """
    assert office.test(suite, {"alpha": LOCAL})["alpha"].status == "failed"


def test_host_that_ssh_does_not_reach_is_unreachable_and_ssh_is_quoted(office: Office) -> None:
    found = office.test(PASSING, {"alpha": LOCAL, "gone": NOBODY_LISTENS})

    assert [result.status for result in found.values()] == ["ok", "unreachable"]
    assert found["gone"].failure
    assert found["gone"].failure.message.startswith("ssh: connect to host 127.0.0.1 port 1")


def test_error_before_a_test_fails_the_host(office: Office) -> None:
    suite = """
        import pytest

        @pytest.fixture
        def expectation():
            pytest.fail("keadaan tidak tercatat", pytrace=False)

        def test_anything(host, expectation):
            pass
    """
    found = office.test(suite, {"alpha": LOCAL})["alpha"]

    assert found.status == "failed"
    assert executed(found)[0] | {"title": ""} == {
        "name": "test_anything",
        "title": "",
        "outcome": "error",
        "message": "keadaan tidak tercatat",
    }


PASSED = HostTest("test_a", "A", "passed", "")
SKIPPED = HostTest("test_b", "B", "skipped", "tidak berlaku")
FAILED = HostTest("test_c", "C", "failed", "rusak")
ERROR = HostTest("test_d", "D", "error", "keadaan tidak tercatat")
LOST = HostTest("test_e", "E", "failed", "ssh: no route", is_lost=True)


@pytest.mark.parametrize(
    ("tests", "status", "message"),
    [
        pytest.param([PASSED, SKIPPED], "ok", "", id="a test that does not apply is no fault"),
        pytest.param([PASSED, FAILED], "failed", "rusak", id="one failed test is enough"),
        pytest.param([PASSED, ERROR], "failed", "keadaan tidak tercatat", id="so is one error"),
        pytest.param([LOST, FAILED], "failed", "rusak", id="a failed test outweighs a lost connection"),
        pytest.param([PASSED, LOST], "unreachable", "ssh: no route", id="passed tests do not"),
        pytest.param([SKIPPED], "unknown", "no test was carried out on this host", id="skipped is no pass"),
        pytest.param([], "unknown", "no test was carried out on this host", id="nothing is no pass"),
    ],
)
def test_verdict_on_a_host(tests: list[HostTest], status: str, message: str) -> None:
    found = judge("alpha", tests)

    assert (found.status, found.failure.message if found.failure else "") == (status, message)


@pytest.mark.parametrize(
    ("suite", "said"),
    [
        pytest.param("x = 1\n", "pytest ended with 5", id="no tests"),
        pytest.param("def test_a(host:\n", "pytest ended with 2", id="no Python"),
        pytest.param("def test_a():\n    pass\n", "no test was carried out", id="tests of no host"),
        pytest.param(
            "import os\ndef test_a(host):\n    os._exit(0)\n", "no readable results", id="no results"
        ),
        pytest.param("import pytest\ndef test_a(host):\n    pytest.exit('enough', 0)\n", "", id="broken off"),
    ],
)
def test_suite_that_tested_nothing_leaves_the_host_unknown(office: Office, suite: str, said: str) -> None:
    found = office.test(suite, {"alpha": LOCAL})["alpha"]

    assert found.status == "unknown"
    assert found.failure
    assert said in found.failure.message


def test_host_the_inventory_does_not_know_leaves_all_unknown(office: Office) -> None:
    found = office.test(PASSING, {"alpha": LOCAL}, names=("alpha", "nobody"))

    assert [result.status for result in found.values()] == ["unknown", "unknown"]
    assert found["alpha"].failure
    assert "nobody" in found["alpha"].failure.message


def test_time_limit_ends_the_tests_and_leaves_the_host_unknown(office: Office) -> None:
    suite = """
        def test_slow(host):
            host.run("sleep 300")
    """
    found = office.test(suite, {"alpha": LOCAL}, timeout=6)["alpha"]

    assert found.status == "unknown"
    assert found.failure
    assert found.failure.message == "the tests were not done in time"
    assert processes.marked(processes.mark(office.request.work)) == []


def test_suite_sees_phase_and_state_but_no_secret_of_the_operator(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESTIC_PASSWORD", "canary")
    suite = """
        import os

        def test_environment(host):
            assert os.environ["RAWAT_PHASE"] == "after-rollback"
            assert os.path.isdir(os.environ["RAWAT_HOST_STATE"])
            assert "canary" not in os.environ.values()
    """
    assert office.test(suite, {"alpha": LOCAL})["alpha"].status == "ok"


def test_templates_of_an_inventory_are_evaluated_and_secrets_stay_in_it(office: Office) -> None:
    alpha = {"ansible_connection": "{{ 'lo' ~ 'cal' }}", "back_up_host_password": "canary"}

    assert office.test(PASSING, {"alpha": alpha})["alpha"].status == "ok"
    written = (office.request.work / "connections.json").read_text()
    found = json.loads(written)["all"]["hosts"]["alpha"]
    assert found.pop("ansible_ssh_common_args").startswith("-o StrictHostKeyChecking=yes ")
    assert found == LOCAL | {"ansible_host": "alpha"}


def test_many_hosts_are_tested_in_parallel_and_all_are_told(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "_HOSTS_PER_SHARD", 3)
    names = [f"host{number}" for number in range(7)]
    found = office.test(PASSING, dict.fromkeys(names, LOCAL))

    assert {result.status for result in found.values()} == {"ok"}
    assert len(list((office.root / "work").glob("tests-*"))) == 3
    assert sorted(event.host for event in office.told) == names


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("", id="empty"),
        pytest.param("<testsuites><testcase", id="cut off"),
        pytest.param('<!DOCTYPE x [<!ENTITY a "b">]><testsuites>&a;</testsuites>', id="entities"),
    ],
)
def test_unreadable_results_are_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "junit.xml"
    path.write_text(content)

    with pytest.raises(ResultsError):
        read_junit(path)


def test_ssh_is_installed() -> None:
    """The tests of lost hosts prove nothing without it."""
    assert subprocess.run(["ssh", "-V"], capture_output=True, check=False).returncode == 0
