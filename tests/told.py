"""What Messages tell together, however often and in whatever order they came."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from agent.probes import probe_named
from agent.wire import SIGHTING, Message
from fingerprints.model import Speaker

__all__ = ["Told", "told"]

Told = dict[Message, tuple[int, float, float]]
"""Each thing that was said: how often, when first, when last."""


def told(messages: Iterable[Message]) -> Told:
    """What Messages of TCP connections and others tell.

    Left out is which client's port it was, and what a protocol draws anew in each message.
    """
    found: Told = {}
    for message in messages:
        at = math.nan if message.at is None else message.at
        sender, receiver = message.sender, message.receiver
        if message.transport == "tcp":
            sender, receiver = _served(sender, receiver), _served(receiver, sender)
        thing = replace(
            message,
            payload=_settled(message, message.payload),
            asked=_settled(message, message.asked),
            sender=sender,
            receiver=receiver,
            at=None,
            frame=None,
            count=1,
        )
        count, first, last = found.get(thing, (0, at, at))
        # How often a host was sighted says nothing.
        count = 1 if message.protocol == SIGHTING else count + message.count
        found[thing] = count, min(first, at), max(last, at)
    return found


def _settled(message: Message, words: bytes) -> bytes:
    """With how long it is for what is drawn anew."""
    probe = probe_named(message.protocol)
    if probe is None or probe.fresh is None:
        return words
    return b"%d %b" % (len(words), probe.fresh.sub(b"", words))


def _served(one: Speaker, other: Speaker) -> Speaker:
    """Without its port, if that is the higher one."""
    higher = one.port is not None and other.port is not None and one.port > other.port
    return replace(one, port=None) if higher else one
