"""A shared cache of packages in front of the channel: asked by everybody, and by nobody gone around."""

from __future__ import annotations

import json
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import pytest
from shared_cache import HOSTS, LAB, Office, await_closed, opened, raised, versions
from unattended import SOP, Unattended

from lab import driver
from lab.layout import Lab

pytestmark = [pytest.mark.lab, pytest.mark.campaign, pytest.mark.timeout(3600)]

SUITES = ("lab", "lab-updates", "lab-security")
LISTS = [f"/dists/{suite}/{name}" for suite in SUITES for name in ("InRelease", "main/binary-amd64/Packages")]
OLD_GOOD, NEW_GOOD = (
    "/pool/lab/lab-good_1.0-1_all.deb", "/pool/lab-security/lab-good_1.0-1+deb12u1_all.deb"
)  # fmt: skip


@pytest.fixture(scope="module", name="lab")
def _lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Lab, Path]]:
    """Bring three hosts up for these tests and take them down after them."""
    with raised(tmp_path_factory.mktemp("lab")) as found:
        yield found


@pytest.fixture(name="office")
def _office(lab: tuple[Lab, Path], tmp_path: Path) -> Iterator[Office]:
    """Give the office to a test, its cache at work with nothing in it."""
    with opened(*lab, tmp_path) as office:
        yield office


def require_once_and_not_around(office: Office, *files: str) -> None:
    """Fail unless these files crossed the line, each file once, and only the cache asked for any.

    The signed summaries of the lists, a kilobyte each, may cross again: apt-cacher-ng at times ends the lines
    of hosts that ask for one at the same moment, and fetches it anew when they ask again.
    """
    line = office.line()
    whole = Counter(path for _, path, status in line if status == 200)
    assert {who for who, _, _ in line} == {office.lab.controller}
    again = {path: times for path, times in whole.items() if times > 1 and not path.endswith("/InRelease")}
    assert again == {}
    assert set(files) <= set(whole)
    # The cache asks whether a list has changed by asking for a part of it.
    assert {status for _, _, status in line} <= {200, 206, 304}


def test_a_whole_run_fetches_lists_twice_a_host_and_each_file_once_over_the_line(office: Office) -> None:
    """From the plan to the report: two waves, an update that fails its test, and its rollback."""
    office.fresh(*HOSTS)
    rawat = Unattended(office.folder)

    rawat.rawat("run", SOP, "-i", str(office.inventory), "--failure-budget", "1", expect=3)
    for outcome, official in (("sesuai", "analis"), ("diperintahkan", "kabid")):
        rawat.rawat("decide", "--outcome", outcome, "--official", official)
        rawat.rawat("resume", expect=3)

    require_once_and_not_around(office, *LISTS, OLD_GOOD, NEW_GOOD)
    looks = [e["hosts"] for e in rawat.journal() if e["event"] == "plan_confirmed"]
    assert looks == [["web1"], ["db1", "file1"]]
    for name in HOSTS:
        asked = office.asked(name)
        # Once for the plan, once for the look right before the wave; nothing else fetches lists. One may be
        # asked for again after a line that the cache ended, but never all of them.
        assert min(asked[f"/dists/{suite}/InRelease"] for suite in SUITES) == 2, (name, asked)
        # What has not changed is not fetched again.
        assert min(asked[path] for path in LISTS if path.endswith("Packages")) == 1, (name, asked)
        # For the changelog at the plan and at the look, and to be installed.
        assert asked[NEW_GOOD] <= 3, (name, asked)
        # Kept to go back with; a rollback takes the kept one.
        assert asked[OLD_GOOD] == 1, (name, asked)
    (undone,) = rawat.runs.glob("*/evidence/8-1-recover/*.json")
    assert json.loads(undone.read_text())["results"]["rollback_updates"]["outcome"] == "rolled back"


def test_a_dead_cache_is_named_and_nothing_is_changed(office: Office) -> None:
    """Before the plan, at the look before the wave, and right after it."""
    host, other = office.fresh("web1", "db1")
    before = versions(host), versions(other)
    address = ":".join(map(str, office.place))
    office.close_cache()
    await_closed(office.place)

    no_plan = office.play("plan-updates.yml", "web1", "db1")

    office.open_cache()
    office.plan("web1", "db1")
    office.close_cache()
    await_closed(office.place)
    host.check_output("apt-get clean")
    look = office.play("plan-updates.yml", "web1", "db1", rawat_reprobe=True)
    change = office.play("apply-updates.yml", "web1", "db1")

    for name in ("web1", "db1"):
        for played in (no_plan, look):
            assert "The package index could not be refreshed" in played.failures[name]
            assert address in played.failures[name]
        assert address in change.failures[name]
        assert change.evidence[name]["apply_updates"]["changes"] == []
    assert (versions(host), versions(other)) == before


def test_a_cache_that_never_answers_is_given_up_and_named(office: Office) -> None:
    (host,) = office.fresh("web1")
    before = versions(host)
    office.close_cache()
    await_closed(office.place)
    with socket.create_server(office.place):
        played = office.play("plan-updates.yml", "web1", plan_updates_http_timeout=3)

    assert "The package index could not be refreshed" in played.failures["web1"]
    assert office.lab.controller in played.failures["web1"]
    assert str(office.place[1]) in played.failures["web1"]
    assert versions(host) == before


def test_a_cache_that_ends_its_lines_amid_answers_holds_nobody_up(office: Office) -> None:
    """As apt-cacher-ng does at times: apt 2.6 would wait for ever for what it is to fetch again."""
    office.fresh("web1", "db1")
    office.close_cache()
    await_closed(office.place)
    with cut_short(office.place) as cut:
        plan = office.plan("web1", "db1")
        applied = office.play("apply-updates.yml", "web1", "db1")

    assert applied.failures == {}, applied.output
    assert (
        len(plan["hosts"]["web1"]["updates"]) == len(applied.evidence["web1"]["apply_updates"]["changes"]) > 0
    )
    # Lists, and packages out of which changelogs are read, were kept, and are installed.
    assert {path.rpartition("/")[2] for path in cut} >= {"InRelease", "Packages"}
    assert any(path.endswith(".deb") for path in cut)


@contextmanager
def cut_short(place: tuple[str, int]) -> Iterator[set[str]]:
    """Be the cache, and end the line amid the first answer to each request of a host; give what was cut."""
    cut: set[tuple[str, str]] = set()
    paths: set[str] = set()

    class Cache(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            """Answer as the channel does, by halves at first."""
            parts = urlsplit(self.path)
            with closing(HTTPConnection(str(parts.hostname), parts.port or 80, timeout=20)) as line:
                line.request("GET", parts.path)
                found = line.getresponse()
                body, status, changed = found.read(), found.status, found.getheader("Last-Modified", "")
            is_first = (self.client_address[0], parts.path) not in cut and len(body) > 1
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Last-Modified", changed)
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if is_first else body)
            if is_first:
                cut.add((self.client_address[0], parts.path))
                paths.add(parts.path)
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Say nothing: the test tells what was asked."""

    server = ThreadingHTTPServer(place, Cache)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield paths
    finally:
        server.shutdown()
        server.server_close()


def test_what_came_out_since_the_plan_is_seen_through_the_cache(office: Office) -> None:
    """A look that the cache answered out of old lists would let a drift through."""
    office.fresh("web1")
    planned = {u["package"]: u["to"] for u in office.plan("web1")["hosts"]["web1"]["updates"]}
    driver.publish(LAB, "lab-tool", "1.0-1+deb12u7")

    now = {u["package"]: u["to"] for u in office.plan("web1", rawat_reprobe=True)["hosts"]["web1"]["updates"]}

    assert (planned["lab-tool"], now["lab-tool"]) == ("1.0-1+deb12u1", "1.0-1+deb12u7")
    assert {who for who, _, _ in office.line()} == {office.lab.controller}


def test_what_was_kept_goes_back_while_the_cache_is_dead(office: Office) -> None:
    """To apt that is no matter of course: it would rather fetch the old packages once more."""
    (host,) = office.fresh("db1")
    before = versions(host)
    office.plan("db1")
    applied = office.play("apply-updates.yml", "db1")
    host.check_output("apt-get clean")
    office.close_cache()
    await_closed(office.place)

    undone = office.play("rollback-updates.yml", "db1").evidence["db1"]["rollback_updates"]

    assert applied.failures == {}, applied.output
    assert undone["outcome"] == "rolled back"
    assert undone["from_kept"] == ["lab-good", "lab-reboot", "lab-tool"]
    assert versions(host) == before


def test_a_cache_named_in_the_inventory_is_asked_for_everything_and_leaves_nothing(office: Office) -> None:
    """The hosts themselves name none, and could reach the channel."""
    (host,) = office.fresh("db1", own_setting=False)
    before, said = versions(host), {"plan_updates_proxy": office.url}
    settings = host.check_output("apt-config dump; find /etc/apt -type f -newer /etc/hostname")

    office.plan("db1", **said)
    applied = office.play("apply-updates.yml", "db1", **said)
    host.check_output("sh -c 'apt-get clean; rm -r /var/lib/rawat/*/packages'")
    undone = office.play("rollback-updates.yml", "db1", **said).evidence["db1"]["rollback_updates"]

    assert applied.failures == {}, applied.output
    assert [item["how"] for item in applied.evidence["db1"]["save_packages"]["saved"]] == ["channel"] * 3
    assert (undone["outcome"], undone["from_kept"]) == ("rolled back", [])
    assert versions(host) == before
    require_once_and_not_around(office, *LISTS, OLD_GOOD, NEW_GOOD)
    assert host.check_output("apt-config dump; find /etc/apt -type f -newer /etc/hostname") == settings


def test_a_dead_cache_of_the_inventory_is_named_and_a_password_refused(office: Office) -> None:
    office.fresh("web1", own_setting=False)
    office.close_cache()
    await_closed(office.place)

    dead = office.play("plan-updates.yml", "web1", plan_updates_proxy=office.url).failures["web1"]
    told = office.play("plan-updates.yml", "web1", plan_updates_proxy="http://user:word@cache:3142")

    assert f"could not be refreshed through the proxy {office.url}, so updates are not known" in dead
    assert "without user and password" in told.failures["web1"]
    assert office.line() == []
