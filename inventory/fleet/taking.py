"""Takes a parcel that came by any way but HTTPS, and says what became of it."""

from __future__ import annotations

import logging

from django.conf import settings
from django.db import InterfaceError, OperationalError

from exchange.parcel import Parcel, Receipt
from inventory.fleet.identity import Stranger, known, note_instance
from inventory.ingest.service import ReportRefused, Submission, receive
from inventory.unpacking import BodyError, gunzipped, read_json

__all__ = ["Again", "take"]

_log = logging.getLogger(__name__)


class Again(Exception):  # noqa: N818 - an answer, not a fault
    """The database is away: the same parcel has to come again."""


def take(parcel: Parcel) -> Receipt:
    """Store a parcel, whole or not at all; the receipt says so, or why it never will be. Raises `Again`."""
    try:
        agent, site = known(parcel)
        document = read_json(gunzipped(parcel.body, settings.CAMCENSUS_MAX_REPORT))
        receipt = receive(Submission(parcel.report, site, document, agent, parcel.part, parcel.parts))
        note_instance(agent, parcel.instance)
    except (Stranger, BodyError, ReportRefused) as why:
        _log.warning("parcel %s of agent %s is refused: %s", parcel.name, parcel.agent, why)
        return Receipt(parcel.site, parcel.report, parcel.part, stored=False, reason=str(why))
    except (OperationalError, InterfaceError) as error:
        raise Again(str(error)) from error
    refused = tuple((row.id, row.reason) for row in receipt.outcomes if not row.accepted)
    return Receipt(parcel.site, parcel.report, parcel.part, stored=True, refused=refused)
