"""Takes a parcel that came by any way but HTTPS: verified, stored, answered."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from django.conf import settings
from django.db import InterfaceError, OperationalError

from exchange.parcel import Parcel, Receipt
from inventory.fleet.identity import Known, Stranger, note_instance
from inventory.ingest.service import ReportRefused, Submission, receive_together
from inventory.unpacking import BodyError, gunzipped, read_report

__all__ = ["Again", "take", "take_together"]

_log = logging.getLogger(__name__)


class Again(Exception):  # noqa: N818 - an answer, not a fault
    """The database is away: the same parcel has to come again."""


def take(parcel: Parcel) -> Receipt:
    """Store a parcel, whole or not at all; the receipt says so, or why it never will be. Raises `Again`."""
    return take_together([parcel])[0]


def take_together(parcels: Sequence[Parcel]) -> list[Receipt]:
    """Store parcels, each whole or not at all; a receipt for each. Raises `Again` where none was stored."""
    results: dict[int, Receipt] = {}
    submissions: dict[int, Submission] = {}
    try:
        people = Known(parcels)
        for place, parcel in enumerate(parcels):
            try:
                agent, site = people.of(parcel)
                document = read_report(gunzipped(parcel.body, settings.CAMCENSUS_MAX_REPORT))
            except (Stranger, BodyError) as why:
                results[place] = _refused(parcel, why)
                continue
            submissions[place] = Submission(parcel.report, site, document, agent, parcel.part, parcel.parts)
        for place, stored in zip(submissions, receive_together(list(submissions.values())), strict=True):
            parcel = parcels[place]
            if isinstance(stored, ReportRefused):
                results[place] = _refused(parcel, stored)
                continue
            refused = tuple((row.id, row.reason) for row in stored.outcomes if not row.accepted)
            results[place] = Receipt(parcel.site, parcel.report, parcel.part, stored=True, refused=refused)
            if (sender := submissions[place].agent) is not None:
                note_instance(sender, parcel.instance)
    except (OperationalError, InterfaceError) as error:
        raise Again(str(error)) from error
    return [results[place] for place in range(len(parcels))]


def _refused(parcel: Parcel, why: Exception) -> Receipt:
    _log.warning("parcel %s of agent %s is refused: %s", parcel.name, parcel.agent, why)
    return Receipt(parcel.site, parcel.report, parcel.part, stored=False, reason=str(why))
