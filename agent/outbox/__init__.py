"""Results on disk until the inventory has said that it has them."""

from agent.outbox.box import Limits, Outbox, OutboxError, Status, Waiting
from agent.outbox.sending import Answer, Courier, Outcome, Sender

__all__ = ["Answer", "Courier", "Limits", "Outbox", "OutboxError", "Outcome", "Sender", "Status", "Waiting"]
