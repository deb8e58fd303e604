"""Remembers the latest of what never ends."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

__all__ = ["Recent"]

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


class Recent(Generic[_Key, _Value]):
    """A table of at most `room` entries: the least recently used gives way, and is counted in `given_up`."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._entries: OrderedDict[_Key, _Value] = OrderedDict()
        self.given_up = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: _Key) -> _Value | None:
        """The value of `key`, which is used by this."""
        value = self._entries.get(key)
        if value is not None:
            self._entries.move_to_end(key)
        return value

    def put(self, key: _Key, value: _Value) -> tuple[_Key, _Value] | None:
        """Keep `value`; the entry that had to leave for it."""
        self._entries[key] = value
        if len(self._entries) <= self._room:
            return None
        self.given_up += 1
        return self._entries.popitem(last=False)

    def values(self) -> Iterator[_Value]:
        """The value of every entry, the least recently used first."""
        return iter(self._entries.values())
