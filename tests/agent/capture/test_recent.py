"""The latest is remembered, the oldest gives way."""

from __future__ import annotations

from agent.capture.recent import Recent


def test_the_least_recently_used_gives_way() -> None:
    """What was asked for stays; what was not for longest leaves, and is counted."""
    recent: Recent[str, int] = Recent(2)
    assert recent.put("a", 1) is None
    assert recent.put("b", 2) is None
    assert recent.get("a") == 1
    assert recent.put("c", 3) == ("b", 2)
    assert recent.get("b") is None
    assert list(recent.values()) == [1, 3]
    assert (len(recent), recent.given_up) == (2, 1)
