"""Distinct representatives: who stands for which group when nobody may stand for two.

Kuhn's augmenting paths on a bipartite graph (seats of groups to people); groups and people are few, so plain recursion is enough.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence


def stands_for(groups: Sequence[Collection[str]], seats: int) -> tuple[frozenset[str], ...] | None:
    """For each group, `seats` of its people, all distinct over all groups; None where that cannot be."""
    seated = seat(groups, seats)
    return seated if all(len(people) == seats for people in seated) else None


def seat(groups: Sequence[Collection[str]], seats: int) -> tuple[frozenset[str], ...]:
    """As many of `seats` people for each group as can be seated at once, each in one seat."""
    seat_of: dict[str, tuple[int, int]] = {}
    for group in range(len(groups)):
        for number in range(min(seats, len(groups[group]))):
            _take((group, number), groups, seat_of, set())
    return tuple(
        frozenset(person for person, (taken, _) in seat_of.items() if taken == group) for group in range(len(groups))
    )


def _take(
    wanted: tuple[int, int], groups: Sequence[Collection[str]], seat_of: dict[str, tuple[int, int]], tried: set[str]
) -> bool:
    """Seat somebody at `wanted`, moving others to other seats where that helps."""
    for person in sorted(groups[wanted[0]]):
        if person in tried:
            continue
        tried.add(person)
        if person not in seat_of or _take(seat_of[person], groups, seat_of, tried):
            seat_of[person] = wanted
            return True
    return False
