"""Writes programs for the classic BSD packet filter.

Instructions after McCanne and Jacobson, "The BSD Packet Filter" (USENIX 1993), as libpcap and
the Linux kernel run them (Documentation/networking/filter.rst): 16 bits of code, two jumps of 8
bits, 32 bits of value. Conditional jumps reach 255 instructions; where a label may be further
away, an unconditional one stands between.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

__all__ = ["ACCEPT", "INSTRUCTION", "Assembler"]

INSTRUCTION: Final = struct.Struct("=HBBI")
ACCEPT: Final = 0x0004_0000
"""How many bytes of an accepted frame are wanted: all of it."""

_SPREAD: Final = 0x9E37_79B1
"""2 to the 32nd by the golden ratio, as an odd number: Knuth, The Art of Computer Programming 3, 6.4."""

_LOADS: Final = {4: 0x20, 2: 0x28, 1: 0x30}
_INDEXED: Final = {4: 0x40, 2: 0x48, 1: 0x50}

Range = tuple[int, int]


class Assembler:
    """A program in the making. `A`, `X` and `M[n]` are the machine's registers and memory."""

    def __init__(self) -> None:
        self._code: list[tuple[int, int, int, int]] = []
        self._labels: dict[str, int] = {}
        self._jumps: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return len(self._code)

    def op(self, code: int, value: int = 0, yes: int = 0, no: int = 0) -> None:
        """One instruction as it is."""
        self._code.append((code, yes, no, value))

    def load(self, size: int, offset: int) -> None:
        """A = the `size` bytes of the frame at `offset`; a frame without them is refused."""
        self.op(_LOADS[size], offset)

    def load_indexed(self, size: int, offset: int) -> None:
        """A = the `size` bytes of the frame at X + `offset`; a frame without them is refused."""
        self.op(_INDEXED[size], offset)

    def set_a(self, value: int) -> None:
        """A = `value`."""
        self.op(0x00, value)

    def set_x(self, value: int) -> None:
        """X = `value`."""
        self.op(0x01, value)

    def move_x(self, offset: int) -> None:
        """X = X + `offset`."""
        self.op(0x87)
        self.op(0x04, offset)
        self.op(0x07)

    def add_to_x(self, mask: int, left: int) -> None:
        """X = X + (A & `mask`), shifted to the left by `left` bits (to the right, if negative)."""
        self.op(0x54, mask)
        self.op(0x64 if left > 0 else 0x74, abs(left))
        self.op(0x0C)
        self.op(0x07)

    def accept(self) -> None:
        """Let the frame pass."""
        self.op(0x06, ACCEPT)

    def reject(self) -> None:
        """Refuse the frame."""
        self.op(0x06, 0)

    def label(self, name: str) -> None:
        """Here is where `go` of this name leads."""
        self._labels[name] = len(self._code)

    def go(self, name: str) -> None:
        """Go on at a label further down."""
        self._jumps.append((len(self._code), name))
        self.op(0x05)

    def go_if(self, value: int, name: str) -> None:
        """Go on at a label further down if A is `value`."""
        self.op(0x15, value, 0, 1)
        self.go(name)

    def go_if_any(self, mask: int, name: str) -> None:
        """Go on at a label further down if A has any bit of `mask`."""
        self.op(0x45, mask, 0, 1)
        self.go(name)

    def accept_if(self, value: int) -> None:
        """Let the frame pass if A is `value`."""
        self.op(0x15, value, 0, 1)
        self.accept()

    def accept_if_any(self, mask: int) -> None:
        """Let the frame pass if A has any bit of `mask`."""
        self.op(0x45, mask, 0, 1)
        self.accept()

    def store(self, place: int) -> None:
        """M[`place`] = A."""
        self.op(0x02, place)

    def recall(self, place: int) -> None:
        """A = M[`place`]."""
        self.op(0x60, place)

    def store_sum_with_x(self, place: int) -> None:
        """M[`place`] = A + X."""
        self.op(0x0C)
        self.op(0x02, place)

    def add_stored(self, place: int, scratch: int) -> None:
        """A = A + M[`place`]; X stays, by way of M[`scratch`]."""
        self.op(0x03, scratch)
        self.op(0x61, place)
        self.op(0x0C)
        self.op(0x61, scratch)

    def spread_over(self, count: int) -> None:
        """A = a number below `count` that is as good as chance for neighbouring values of A."""
        self.op(0x24, _SPREAD)
        self.op(0x74, 16)
        self.op(0x94, count)

    def length_for_zero(self) -> None:
        """A = the length of the frame, if A is zero."""
        self.op(0x15, 0, 0, 1)
        self.op(0x80)

    def accept_if_above_x(self) -> None:
        """Let the frame pass if A is greater than X."""
        self.op(0x2D, 0, 0, 1)
        self.accept()

    def accept_if_in(self, ranges: Sequence[Range]) -> None:
        """Let the frame pass if A is in one of `ranges` (ends included): a search by halves."""
        name = f"_miss{len(self._code)}"
        self._search(_joined(ranges), name)
        self.label(name)

    def _search(self, ranges: Sequence[Range], miss: str) -> None:
        if len(ranges) > 1:
            middle = len(ranges) // 2
            right = f"_right{len(self._code)}"
            self.op(0x35, ranges[middle][0], 0, 1)
            self.go(right)
            self._search(ranges[:middle], miss)
            self.label(right)
            self._search(ranges[middle:], miss)
            return
        for low, high in ranges:
            if low == high:
                self.accept_if(low)
            else:
                # At least `low`, and not above `high`.
                self.op(0x35, low, 0, 2)
                self.op(0x25, high, 1, 0)
                self.accept()
        self.go(miss)

    def program(self) -> bytes:
        """The program with its labels resolved."""
        code = list(self._code)
        for at, name in self._jumps:
            code[at] = (0x05, 0, 0, self._labels[name] - at - 1)
        return b"".join(INSTRUCTION.pack(*instruction) for instruction in code)


def _joined(ranges: Sequence[Range]) -> list[Range]:
    """Ranges in order, apart from each other."""
    found: list[Range] = []
    for low, high in sorted(ranges):
        if found and low <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(high, found[-1][1]))
        else:
            found.append((low, high))
    return found
