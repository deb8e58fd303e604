"""A text that must never be seen: a password, a community, a key."""

from __future__ import annotations

import hmac
from typing import Any, Final, NoReturn, Self

__all__ = ["MASK", "Secret"]

MASK: Final = "********"
"""What stands in place of a secret wherever something is printed."""


class Secret:
    """Holds a secret; shown as `MASK` by whatever prints, formats or logs it.

    It cannot be pickled or made JSON of, so it leaves this process through `reveal` alone.
    Two are equal if their texts are.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text: Final = text

    def reveal(self) -> str:
        """The secret itself, for whoever has to send it."""
        return self._text

    def __str__(self) -> str:
        return MASK

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __format__(self, _: str) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __deepcopy__(self, _: dict[int, Any]) -> Self:
        # `dataclasses.asdict` copies deeply; without this it would ask `__reduce_ex__`.
        return self

    def __reduce_ex__(self, _: object) -> NoReturn:
        raise TypeError("a secret is not written down")
