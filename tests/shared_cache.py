"""An office's shared cache of packages between hosts and the line to the outside: apt-cacher-ng."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import labs
from office_services import put
from played import Played, play
from testinfra.host import Host

from lab import driver, services
from lab.layout import MIRROR_PORT, Lab
from runner.plan import ActsBy, make_plan

LAB = "cachecampaign"
HOSTS = ("web1", "db1", "file1")
RUN = "2026-11-22-cache-1"
SECONDS = 600
OWN_SETTING = "/etc/apt/apt.conf.d/50cache"
SETTINGS = """\
CacheDir: {folder}/cache
LogDir: {folder}/log
SupportDir: /usr/lib/apt-cacher-ng
Port: {port}
BindAddress: {address}
AllowUserPorts: 0
ForeGround: 1
UnbufferLogs: 1
SocketPath: {folder}/socket
ReportPage:
"""


@dataclass
class Office:
    """Hosts, the channel outside, and the cache between them."""

    lab: Lab
    inventory: Path
    folder: Path
    cache: subprocess.Popen[bytes] | None = field(default=None)

    # The cache -----------------------------------------------------------------------------------

    @property
    def place(self) -> tuple[str, int]:
        """Where the cache listens: the hosts reach this port, which has no service in this profile."""
        return self.lab.controller, MIRROR_PORT

    @property
    def url(self) -> str:
        return self.lab.url(MIRROR_PORT)

    def open_cache(self) -> None:
        """Start the cache with nothing in it, and begin to note what the channel is asked."""
        shutil.rmtree(self.folder / "cache", ignore_errors=True)
        for name in ("cache", "log", "conf"):
            (self.folder / "cache" / name).mkdir(parents=True)
        address, port = self.place
        text = SETTINGS.format(folder=self.folder / "cache", address=address, port=port)
        (self.folder / "cache" / "conf" / "acng.conf").write_text(text, encoding="ascii")
        self.requests.write_text("", encoding="ascii")
        command = ["/usr/sbin/apt-cacher-ng", "-c", str(self.folder / "cache" / "conf")]
        self.cache = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        services.wait_for_service(self.lab, "cache", self.place)

    def close_cache(self) -> None:
        """End the cache, as a power cut would."""
        if self.cache:
            self.cache.send_signal(signal.SIGKILL)
            self.cache.wait()
            self.cache = None

    @property
    def requests(self) -> Path:
        """The file into which the channel notes its answers."""
        return Path(f"{self.lab.channel / 'www'}.requests")

    def line(self) -> list[tuple[str, str, int]]:
        """Return (who asked, for what, the status of the answer) of each request that reached the channel."""
        lines = [line.split() for line in self.requests.read_text(encoding="utf-8").splitlines()]
        return [(who, path.replace("%2b", "+"), int(status)) for who, _, path, status in lines]

    def asked(self, host: str) -> Counter[str]:
        """Return how often a host asked the cache for each file."""
        log = self.folder / "cache" / "log" / "apt-cacher.log"
        lines = [line.split("|") for line in log.read_text(encoding="utf-8").splitlines()]
        address = self.lab.address(self.lab.host(host))
        return Counter(
            file.removeprefix(self.lab.controller)
            for _, way, _, who, file in lines
            if (way, who) == ("O", address)
        )

    # The hosts -----------------------------------------------------------------------------------

    def fresh(self, *names: str, own_setting: bool = True) -> list[Host]:
        """Put hosts back to how they came up, without lists; the cache is in their own settings, or not."""
        found = []
        for name in names:
            host = labs.fresh(LAB, self.inventory, name)
            host.check_output("rm -rf /var/lib/apt/lists /var/cache/apt/*.bin")
            if own_setting:
                put(host, OWN_SETTING, f'Acquire::http::Proxy "{self.url}";\n')
            found.append(host)
        return found

    def play(self, playbook: str, *names: str, **variables: object) -> Played:
        """Run a playbook on hosts."""
        said = {"rawat_run": RUN, "rawat_plan": str(self.folder / "plan.json"), **variables}
        words = labs.command(playbook, ",".join(names), said, self.inventory)
        return play(words, self.folder / "channel.jsonl", seconds=SECONDS)

    def plan(self, *names: str, **variables: object) -> dict[str, Any]:
        """Plan the updates of hosts; return the plan."""
        played = self.play("plan-updates.yml", *names, **variables)
        assert played.failures == {}, played.output
        told = [
            {"host": name, "status": "ok", "results": played.evidence[name], "failure": None}
            for name in names
        ]
        made: dict[str, Any] = make_plan(RUN, "0" * 64, ActsBy("0" * 64, {}), told)
        (self.folder / "plan.json").write_text(json.dumps(made), encoding="utf-8")
        return made


@contextmanager
def opened(lab: Lab, inventory: Path, folder: Path) -> Iterator[Office]:
    """Give an office with its cache at work, and end that afterwards."""
    office = Office(lab, inventory, folder)
    office.open_cache()
    try:
        yield office
    finally:
        office.close_cache()


@contextmanager
def raised(folder: Path) -> Iterator[tuple[Lab, Path]]:
    """Bring the hosts up, and take them down."""
    with labs.raised(folder, LAB, len(HOSTS)) as inventory:
        yield driver.load(LAB), inventory


def versions(host: Host) -> str:
    """Return what dpkg has on record of every package."""
    told: str = host.check_output("dpkg-query --show --showformat '${Package} ${Version} ${Status}\\n'")
    return told


def await_closed(place: tuple[str, int]) -> None:
    """Wait until nothing listens there any more."""
    deadline = time.monotonic() + 20
    while services.is_listening(place):
        assert time.monotonic() < deadline
        time.sleep(0.05)
