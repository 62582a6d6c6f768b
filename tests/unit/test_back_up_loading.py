"""Which dumps are loaded: so many of each server, by chance but the same ones again, never a system's own."""

from __future__ import annotations

from typing import Any

from role_modules import shared

loading = shared("back_up_host_loading")


def dump(engine: str, database: str, size: int = 10) -> dict[str, Any]:
    return {
        "engine": engine,
        "cluster": "15/main",
        "database": database,
        "bytes": size,
        "path": f"/d/{database}",
    }


def chosen(dumps: list[dict[str, Any]], per_server: int, tag: str = "run-1") -> list[str]:
    params = {"tag": tag, "host": "db1", "load_databases": per_server, "load_bytes": 100}
    return [one["database"] for one in loading.chosen(dumps, params)]


def test_so_many_of_each_server_are_chosen_the_same_ones_again() -> None:
    dumps = [dump(engine, f"{engine}{n}") for engine in ("postgresql", "mariadb") for n in range(9)]

    once = chosen(dumps, 2)

    assert sorted(name.rstrip("0123456789") for name in once) == ["mariadb"] * 2 + ["postgresql"] * 2
    assert chosen(dumps, 2) == chosen(list(reversed(dumps)), 2) == once
    assert len({tuple(chosen(dumps, 2, f"run-{n}")) for n in range(20)}) > 1


def test_what_is_a_server_s_own_or_too_large_is_not_loaded() -> None:
    dumps = [dump("postgresql", ""), dump("postgresql", "postgres"), dump("mariadb", "mysql"),
             dump("mariadb", "large", 101), dump("mariadb", "good", 100)]  # fmt: skip

    assert chosen(dumps, 9) == ["good"]
