"""What an agent may do on NATS: write to the subjects of its sites, read what is meant for it."""

from __future__ import annotations

from collections.abc import Iterable

from exchange.subjects import JOBS, jobs_of, receipts_of, reports_of, word

__all__ = ["user"]


def user(agent: str, sites: Iterable[str], password: str, domain: str = "") -> str:
    """The block of a user in the settings of a NATS server; `domain` is that of JetStream, if it has one."""
    api = f"$JS.{domain}.API" if domain else "$JS.API"
    codes = list(sites)
    receipts, own = "CAMCENSUS_RECEIPTS", word(agent)
    publish = [reports_of(code) for code in codes]
    publish += [f"{JOBS}-answers.{own}"]
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
    allowed = ", ".join(f'"{subject}"' for subject in publish)
    inbox = f'"_INBOX_{own}.>"'
    return (
        f'{{ user: "{agent}", password: "{password}", permissions: {{\n'
        f"  publish: {{ allow: [{allowed}] }}\n"
        f"  subscribe: {{ allow: [{inbox}] }} }} }}"
    )
