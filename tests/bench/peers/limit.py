"""The limit: one process, one connection a host, one probe, nothing else. Runs in the peers' environment.

Usage: limit.py WISH, a JSON file with hosts, user, key, known_hosts, program; BENCH_OUT gets the answers.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import asyncssh

MOST_AT_ONCE = 50


async def main(wish: dict) -> dict[str, str]:
    """Ask every host; return what each printed."""
    gate = asyncio.Semaphore(MOST_AT_ONCE)
    settings = {
        "username": wish["user"],
        "client_keys": [wish["key"]],
        "known_hosts": wish["known_hosts"],
        "agent_path": None,
    }

    async def ask(host: str, address: str) -> tuple[str, str]:
        async with gate, asyncssh.connect(address, config=None, **settings) as connection:
            done = await connection.run(wish["command"], input=wish["program"], check=True)
        return host, done.stdout

    return dict(await asyncio.gather(*(ask(*each) for each in wish["hosts"].items())))


if __name__ == "__main__":
    answers = asyncio.run(main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))))
    Path(os.environ["BENCH_OUT"]).write_text(json.dumps(answers), encoding="utf-8")
