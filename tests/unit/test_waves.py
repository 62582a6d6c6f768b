"""Which hosts are changed together, and in what order: a table of cases, and rules over many inventories."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import pytest

from runner.waves import Order, clusters_of, divide_into_waves, in_natural_order, natural_key

INVENTORIES = 600
Waves = tuple[tuple[str, ...], ...]


@pytest.mark.parametrize(
    ("names", "ordered"),
    [
        (["pc10", "pc2", "pc1"], ("pc1", "pc2", "pc10")),
        (["b", "a2", "a10", "a"], ("a", "a2", "a10", "b")),
        (["10.0.0.10", "10.0.0.9"], ("10.0.0.9", "10.0.0.10")),
        (["web", "1web"], ("1web", "web")),
        (["a1b2", "a1b10", "a01b3"], ("a1b2", "a01b3", "a1b10")),
        (["pc2", "pc02"], ("pc02", "pc2")),
        (["²", "2"], ("2", "²")),
        (["x", "x", "x"], ("x",)),
        ([], ()),
    ],
)
def test_hosts_are_in_natural_order(names: list[str], ordered: tuple[str, ...]) -> None:
    assert in_natural_order(names) == ordered
    assert in_natural_order(reversed(names)) == ordered


@pytest.mark.parametrize(
    ("hosts", "canaries", "size", "waves"),
    [
        (["a1", "a2", "a3"], ["a2"], 1, (("a2",), ("a1",), ("a3",))),
        (["a1", "a2", "a3"], ["a2"], 2, (("a2",), ("a1", "a3"))),
        (["a1", "a2", "a3"], ["a2", "a3"], 1, (("a2", "a3"), ("a1",))),
        (["a1", "a2", "a3"], [], 2, (("a1", "a2"), ("a3",))),
        (["a1"], ["other"], 5, (("a1",),)),
        (["a1"], ["a1"], 5, (("a1",),)),
        ([], ["a1"], 5, ()),
    ],
)
def test_waves_are_the_canaries_then_the_rest(
    hosts: list[str], canaries: list[str], size: int, waves: Waves
) -> None:
    assert divide_into_waves(hosts, {"canary": canaries}, Order("canary", size=size)) == waves


def test_a_host_whose_cluster_has_a_member_down_comes_last_and_apart_from_the_others() -> None:
    groups = {"cluster_db": ["db1", "db2", "db9"], "canary": ["db1"], "cluster_web": ["web1", "web2"]}
    order = Order("canary", size=5, controllers=frozenset({"pc9"}), down=frozenset({"db9", "web1"}))
    hosts = ["db1", "db2", "pc1", "pc9", "web1"]
    assert divide_into_waves(hosts, groups, order) == (("pc1", "web1"), ("db1",), ("db2",), ("pc9",))


GROUPS = {
    "canary": ["web1"],
    "web": ["web1", "web2", "web10"],
    "db": ["db1", "db2"],
    "cluster_db": ["db1", "db2"],
    "cluster_mix": ["web2", "pc1"],
}
HOSTS = ["pc10", "pc2", "pc1", "db2", "db1", "web10", "web2", "web1"]


def test_named_groups_come_in_the_sop_s_order_before_the_rest() -> None:
    order = Order("canary", ("db", "web"), size=2)
    assert divide_into_waves(HOSTS, GROUPS, order) == (
        ("web1",),
        ("db1",),
        ("db2",),
        ("web2", "web10"),
        ("pc1", "pc2"),
        ("pc10",),
    )


def test_canaries_of_one_cluster_are_split() -> None:
    groups = {"canary": ["a1", "a2", "b1"], "cluster_a": ["a1", "a2"]}
    assert divide_into_waves(["a1", "a2", "b1"], groups, Order("canary")) == (("a1", "b1"), ("a2",))


def test_a_host_that_gives_way_lets_the_next_one_move_up() -> None:
    groups = {"cluster_a": ["a1", "a2"]}
    assert divide_into_waves(["a1", "a2", "b1", "b2"], groups, Order("", size=2)) == (
        ("a1", "b1"),
        ("a2", "b2"),
    )


def test_owed_hosts_come_first_within_their_group_but_after_the_canaries() -> None:
    order = Order("canary", ("web",), size=2, owed=frozenset({"pc10", "web10", "db2"}))
    assert divide_into_waves(HOSTS, GROUPS, order) == (
        ("web1",),
        ("web10", "web2"),
        ("db2", "pc10"),
        ("db1", "pc1"),
        ("pc2",),
    )


def test_the_controller_comes_last_and_alone_even_as_a_canary() -> None:
    order = Order("canary", size=10, controllers=frozenset({"web1"}))
    assert divide_into_waves(["web1", "pc1"], GROUPS, order) == (("pc1",), ("web1",))


# Rules over many inventories ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    hosts: list[str]
    groups: dict[str, list[str]]
    order: Order

    @cached_property
    def waves(self) -> Waves:
        return divide_into_waves(self.hosts, self.groups, self.order)

    def place(self, host: str) -> int:
        """Return which of canary, named groups, rest and controller a host belongs to."""
        names = (self.order.first, *self.order.then)
        if host in self.order.controllers:
            return len(names) + 1
        return next((n for n, name in enumerate(names) if host in self.groups.get(name, [])), len(names))


def case(seed: int) -> Case:
    """Return an inventory and an order that nobody thought of; the same seed gives the same one."""
    rng = random.Random(seed)  # noqa: S311 - no secret is made of it
    names = [f"{kind}{number}" for kind in ("pc", "web", "db", "n-") for number in range(1, 14)]
    known = rng.sample(names, rng.randint(1, len(names)))

    def some(most: int) -> list[str]:
        return rng.sample(known, rng.randint(0, min(most, len(known))))

    groups = {name: some(8) for name in ("canary", "web", "db", "cluster_a", "cluster_b", "cluster_c")}
    groups = {name: members for name, members in groups.items() if members}
    hosts = rng.sample(known, rng.randint(0, len(known)))  # a --limit leaves some of the group out
    order = Order(
        "canary",
        tuple(rng.sample(["web", "db", "missing"], rng.randint(0, 3))),
        rng.randint(1, 6),
        owed=frozenset(some(6)),
        controllers=frozenset(some(2)),
    )
    return Case(hosts, groups, order)


@pytest.fixture(scope="module")
def cases() -> Sequence[Case]:
    return [case(seed) for seed in range(INVENTORIES)]


def test_every_host_is_in_exactly_one_wave_and_no_wave_is_empty(cases: Sequence[Case]) -> None:
    for each in cases:
        assert sorted(host for wave in each.waves for host in wave) == sorted(each.hosts), each
        assert all(each.waves), each


def test_no_wave_holds_hosts_of_two_groups_and_groups_come_in_order(cases: Sequence[Case]) -> None:
    for each in cases:
        places = [{each.place(host) for host in wave} for wave in each.waves]
        assert all(len(place) == 1 for place in places), each
        flat = [place for (place,) in places]
        assert flat == sorted(flat), each


def test_no_wave_is_larger_than_its_size_but_the_canaries(cases: Sequence[Case]) -> None:
    for each in cases:
        assert all(len(wave) <= each.order.size for wave in each.waves if each.place(wave[0]) != 0), each


def test_canaries_of_no_cluster_are_one_wave(cases: Sequence[Case]) -> None:
    for each in cases:
        canaries = [host for host in each.hosts if each.place(host) == 0]
        if canaries and not set(canaries) & set(clusters_of(each.groups)):
            assert sorted(each.waves[0]) == sorted(canaries), each


def test_no_wave_holds_two_members_of_a_cluster(cases: Sequence[Case]) -> None:
    split = 0
    for each in cases:
        for name in [name for name in each.groups if name.startswith("cluster_")]:
            members = set(each.groups[name])
            assert all(len(members & set(wave)) <= 1 for wave in each.waves), each
            split += len(members & set(each.hosts)) > 1
    assert split > INVENTORIES  # the rule was asked of something


def test_controllers_are_alone_and_last(cases: Sequence[Case]) -> None:
    for each in cases:
        own = [host for host in each.hosts if host in each.order.controllers]
        tail = each.waves[len(each.waves) - len(own) :]
        assert sorted(tail) == sorted((host,) for host in own), each


def test_a_host_waits_longer_than_one_after_it_only_for_its_cluster(cases: Sequence[Case]) -> None:
    """Owed first, then natural order, within a wave and from wave to wave."""

    def key(each: Case, host: str) -> tuple[bool, object]:
        return host not in each.order.owed, natural_key(host)

    gave_way = 0
    for each in cases:
        clusters = clusters_of(each.groups)
        number = {host: n for n, wave in enumerate(each.waves) for host in wave}
        for wave in each.waves:
            assert list(wave) == sorted(wave, key=lambda host, of=each: key(of, host)), each
        for host in each.hosts:
            for other in each.hosts:
                before = key(each, host) < key(each, other) and each.place(host) == each.place(other)
                if not before or number[host] <= number[other]:
                    continue
                mates = [h for h in each.waves[number[other]] if key(each, h) < key(each, host)]
                shared = [m for m in mates if clusters.get(m, set()) & clusters.get(host, set())]
                assert shared, (each, host, other)
                gave_way += 1
    assert gave_way > 100


def test_the_same_inventory_in_any_order_gives_the_same_waves(cases: Sequence[Case]) -> None:
    for seed, each in enumerate(cases):
        shuffled = random.Random(seed).sample(each.hosts, len(each.hosts))  # noqa: S311 - no secret
        assert divide_into_waves(shuffled, each.groups, each.order) == each.waves
