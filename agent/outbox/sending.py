"""Sends what waits: retries with growing pauses, sets aside what the inventory can never take."""

from __future__ import annotations

import enum
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from agent.outbox.box import Outbox, Waiting
from exchange.parcel import Parcel, Receipt

__all__ = ["Answer", "Courier", "Outcome", "Sender"]

_FIRST_PAUSE: Final = 2.0
_LONGEST_PAUSE: Final = 900.0
_LONGEST_ASKED: Final = 3_600.0
"""Longest pause that a receiver may ask for, in seconds."""
_REFUSED_PAUSE: Final = 300.0
_RESEND: Final = 86_400.0
"""A parcel that a carrier took, and of which no receipt has come, is handed over again after this time."""
_AT_ONCE: Final = 16
_TOO_LARGE_TIMES: Final = 3


class Outcome(enum.Enum):
    """What became of one try to send."""

    STORED = "stored"
    HANDED_OVER = "handed over"
    """A carrier holds it; the inventory's receipt comes by itself."""
    REFUSED = "refused"
    """The inventory read it, and will never take it."""
    NOT_ALLOWED = "not allowed"
    """Who we are, or this site, is not accepted: somebody must mend that."""
    TOO_LARGE = "too large"
    LATER = "later"


@dataclass(frozen=True, slots=True)
class Answer:
    """The outcome of one try, why, and after how many seconds the receiver wants to be asked again."""

    outcome: Outcome
    why: str = ""
    after: float | None = None
    refused: tuple[tuple[str, str], ...] = ()


class Courier(Protocol):
    """One way to the inventory. Raises nothing for what the link or the receiver does wrong."""

    def send(self, parcel: Parcel) -> Answer:
        """Try to bring one parcel."""
        ...

    def receipts(self) -> Sequence[Receipt]:
        """What the inventory has said since, of parcels that were handed over."""
        ...

    def close(self) -> None:
        """Let go of the link."""
        ...


@dataclass(slots=True)
class Sender:
    """Empties an outbox through a courier. `sign` makes a parcel the agent's own.

    Not safe for threads: one sender has one thread. `state` says how the link is, in one line.
    """

    outbox: Outbox
    courier: Courier
    sign: Callable[[Parcel], Parcel] = lambda parcel: parcel
    clock: Callable[[], float] = time.time
    jitter: Callable[[], float] = lambda: random.uniform(0.5, 1.0)  # noqa: S311 - no secret is made of it
    state: str = "nothing sent yet"
    pause: float = 0.0
    """Seconds in which nothing should be sent."""
    last_sent: float | None = None
    _failures: int = field(default=0, init=False)
    _too_large: dict[str, int] = field(default_factory=dict, init=False)

    def send_due(self, stop: Callable[[], bool] = lambda: False) -> int:
        """Send what is due, until nothing is, the link fails, or `stop`; how many parcels were taken."""
        taken = 0
        for receipt in self.courier.receipts():
            taken += self.outbox.receive(receipt, self.clock())
        while not stop():
            waiting = self.outbox.due(self.clock(), _AT_ONCE)
            if not waiting:
                self.pause = 0.0
                break
            held: set[str] = set()
            for each in waiting:
                if stop():
                    break
                if each.parcel.site in held:
                    continue
                answer = self.courier.send(self.sign(each.parcel))
                taken += self._act(each, answer, held)
                if answer.outcome is Outcome.LATER:
                    return taken
                if answer.outcome is Outcome.TOO_LARGE:
                    # What waits may have been cut anew.
                    break
        return taken

    def _act(self, waiting: Waiting, answer: Answer, held: set[str]) -> bool:
        parcel, now = waiting.parcel, self.clock()
        if answer.outcome is Outcome.LATER:
            self._failures += 1
            self.pause = self._pause(answer)
            self.state = f"{answer.why}; the next try is in {self.pause:.0f} s"
            self.outbox.later(parcel, now + self.pause, answer.why)
            return False
        self._failures = 0
        if answer.outcome is Outcome.NOT_ALLOWED:
            held.add(parcel.site)
            self.state = f"site {parcel.site}: {answer.why}"
            self.outbox.later(parcel, now + _REFUSED_PAUSE, answer.why)
            return False
        if answer.outcome is Outcome.TOO_LARGE and self._made_smaller(parcel, answer, now):
            return False
        self.state, self.last_sent = "sending", now
        if answer.outcome is Outcome.HANDED_OVER:
            self.outbox.later(parcel, now + _RESEND, "waiting for the inventory's receipt")
            return True
        if answer.outcome is Outcome.STORED:
            receipt = Receipt(parcel.site, parcel.report, parcel.part, stored=True, refused=answer.refused)
            return self.outbox.receive(receipt, now)
        self.outbox.set_aside(parcel.report, parcel.part, answer.why, now)
        self.state = f"set aside part {parcel.part} of {parcel.report}: {answer.why}"
        return False

    def _made_smaller(self, parcel: Parcel, answer: Answer, now: float) -> bool:
        """Whether there is another way than to set it aside. A proxy may be wrong: it has to insist."""
        times = self._too_large.pop(parcel.name, 0) + 1
        if times >= _TOO_LARGE_TIMES:
            return self.outbox.smaller(parcel, now)
        self._too_large[parcel.name] = times
        self.outbox.later(parcel, now + _FIRST_PAUSE, answer.why)
        return True

    def _pause(self, answer: Answer) -> float:
        if answer.after is not None:
            return min(max(answer.after, 0.0), _LONGEST_ASKED)
        return min(_FIRST_PAUSE * 2.0 ** min(self._failures - 1, 20), _LONGEST_PAUSE) * self.jitter()
