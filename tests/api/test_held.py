from __future__ import annotations

from api.held import Held


def test_what_was_used_last_stays() -> None:
    held: Held[str, int] = Held(2)
    held.add("a", 1)
    held.add("b", 2)
    assert held.get("a") == 1
    held.add("c", 3)
    assert held.get("b") is None
    assert (held.get("a"), held.get("c")) == (1, 3)


def test_a_value_is_replaced_and_counts_as_used() -> None:
    held: Held[str, int] = Held(2)
    held.add("a", 1)
    held.add("b", 2)
    held.add("a", 10)
    held.add("c", 3)
    assert (held.get("a"), held.get("b")) == (10, None)
