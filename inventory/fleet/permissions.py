"""What an agent may do on NATS: write to the subjects of its sites, read what is meant for it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from exchange.subjects import JOBS, KNOWLEDGE, KNOWLEDGE_STREAM, jobs_of, receipts_of, reports_of, word

__all__ = ["Allowed", "allowed", "nsc", "user"]


@dataclass(frozen=True, slots=True)
class Allowed:
    """Subjects that a user may `publish` to, or `subscribe` to; none besides."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def allowed(agent: str, sites: Iterable[str], domain: str = "") -> Allowed:
    """What the agent of these sites needs; `domain` is that of JetStream, if it has one."""
    api = f"$JS.{domain}.API" if domain else "$JS.API"
    codes = list(sites)
    receipts, own = "CAMCENSUS_RECEIPTS", word(agent)
    publish = [reports_of(code) for code in codes]
    publish += [f"{JOBS}-answers.{own}", f"{api}.DIRECT.GET.{KNOWLEDGE_STREAM}.{KNOWLEDGE}.>"]
    consumers = [(receipts, f"agent-{own}", receipts_of(agent))]
    consumers += [("CAMCENSUS_JOBS", f"jobs-{word(code)}", jobs_of(code)) for code in codes]
    for stream, consumer, subject in consumers:
        publish += [
            f"{api}.CONSUMER.CREATE.{stream}.{consumer}",
            f"{api}.CONSUMER.CREATE.{stream}.{consumer}.{subject}",
            f"{api}.CONSUMER.DURABLE.CREATE.{stream}.{consumer}",
            f"{api}.CONSUMER.INFO.{stream}.{consumer}",
            f"{api}.CONSUMER.MSG.NEXT.{stream}.{consumer}",
            f"$JS.ACK.{stream}.{consumer}.>",
            # Newer servers put domain and account before the stream.
            f"$JS.ACK.*.*.{stream}.{consumer}.>",
        ]
    return Allowed(tuple(publish), (f"_INBOX_{own}.>",))


def user(agent: str, sites: Iterable[str], password: str, domain: str = "") -> str:
    """The block of a user in the settings of a NATS server."""
    may = allowed(agent, sites, domain)
    publish, subscribe = (
        ", ".join(f'"{subject}"' for subject in subjects) for subjects in (may.publish, may.subscribe)
    )
    return (
        f'{{ user: "{agent}", password: "{password}", permissions: {{\n'
        f"  publish: {{ allow: [{publish}] }}\n"
        f"  subscribe: {{ allow: [{subscribe}] }} }} }}"
    )


def nsc(agent: str, sites: Iterable[str], domain: str = "") -> str:
    """The command that makes such a user where NATS is kept by operator keys (`nsc`), for a shell."""
    may = allowed(agent, sites, domain)
    words = ["nsc", "add", "user", "--account", "FLEET", "--name", agent]
    words += ["--allow-pub", ",".join(may.publish), "--allow-sub", ",".join(may.subscribe)]
    return shlex.join(words)
