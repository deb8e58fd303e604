"""Tests of how devices come down: burn-down, forecast, deadlines, ends of exemptions, sheets, contacts."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import date, timedelta

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from openpyxl import Workbook, load_workbook

from agent.outbox.parts import parts_of, unpacked
from inventory import burndown, clock, deadlines, plans, sheets, tallies
from inventory.ingest.service import Submission, receive
from inventory.models import (
    Alert,
    CloudCall,
    Contact,
    Deadline,
    Device,
    Membership,
    Organisation,
    Plan,
    PlanChange,
    Role,
)
from inventory.timeline import Step
from tests.inventory.making import DAY, START, agent, camera, document, report, site, stamp

pytestmark = pytest.mark.usefixtures("database")
FAR = date(2099, 1, 1)


def root() -> User:
    """An administrator of everything."""
    return User.objects.filter(username="root").first() or User.objects.create_superuser("root")


def lines(by: burndown.Group = "", today: date = date(2026, 4, 30)) -> dict[str, burndown.Line]:
    """The burn-downs of everything, by name."""
    return {line.name: line for line in burndown.lines(None, today, by, "day")}


def test_a_burn_down_counts_each_step_on_its_day() -> None:
    """Two found on one day, one more later, one of them gone: by maker, by site, over all."""
    report("r1", [camera(1), camera(2, manufacturer="Dahua")])
    report("r2", [camera(3, START + 5 * DAY)], START + 5 * DAY, site("school-2"))
    device = Device.objects.get(serial__endswith="3")
    PlanChange.objects.create(device=device, at=START + 9 * DAY, before="found", after="verified-gone")
    tallies.refresh([device.site_id])
    points = {point.day: point.open for point in lines()[""].points}
    first = START.date()
    assert [points[first + timedelta(days)] for days in (0, 4, 5, 8, 9)] == [2, 2, 3, 3, 2]
    assert {name: line.points[-1].open for name, line in lines("manufacturer").items()} == {
        "Hikvision": 1,
        "Dahua": 1,
    }
    assert {name: line.points[-1].open for name, line in lines("site").items()} == {
        "School-1": 2,
        "School-2": 0,
    }
    assert set(lines("sensitivity")) == {"ordinary"}
    weekly = burndown.lines(None, date(2026, 4, 30), "", "week")[0].points
    monthly = burndown.lines(None, date(2026, 4, 30), "", "month")[0].points
    assert [point.day for point in monthly] == [date(2026, 3, 31), date(2026, 4, 30)]
    assert {point.day.weekday() for point in weekly[:-1]} == {6}


def test_organisations_stand_for_what_is_below_them() -> None:
    """At the root the department; below it its schools, each with what stands under it."""
    top = Organisation.objects.create(name="Department")
    one = Organisation.objects.create(name="One", parent=top)
    leaf = Organisation.objects.create(name="Leaf", parent=one)
    report("r1", [camera(1)], where=site("leaf", leaf))
    report("r2", [camera(2)], where=site("top", top))
    assert set(lines("organisation")) == {"Department"}
    found = burndown.lines(None, date(2026, 4, 30), "organisation", "day", below=top)
    assert {line.name for line in found} == {"One", "Department"}
    assert [line.points[-1].open for line in found] == [1, 1]


def test_a_device_that_moves_is_counted_where_it_is() -> None:
    """The same camera at another site: the tallies of both follow, though it says nothing new."""
    report("r1", [camera(1)])
    report("r2", [camera(1, START + DAY)], START + DAY, site("school-2"))
    assert {name: line.points[-1].open for name, line in lines("site").items()} == {"School-2": 1}
    assert not tallies.counted(frozenset({site().pk}))


def test_deadlines_make_overdue() -> None:
    """By the policy at a site of that class, or by the plan; what is done or exempt is not late."""
    report("r1", [camera(1), camera(2), camera(3)])
    today = date(2026, 5, 1)
    assert not deadlines.overdue(None, today).exists()
    deadlines.put("uk-2022-sensitive-sites", "critical", today - timedelta(1), root())
    assert not deadlines.overdue(None, today).exists()
    here = site()
    here.sensitivity = "critical"
    here.save()
    first, second, third = Device.objects.select_related("site").order_by("pk")
    plans.take(second, Step("exempt", reason="listed wall", exempt_until=FAR), root())
    plans.take(third, Step("removed"), root())
    assert list(deadlines.overdue(None, today)) == [first]
    assert deadlines.due(first) == today - timedelta(1)
    deadlines.clear(Deadline.objects.get(), root())
    plans.take(first, Step("scheduled", due=today), root())
    assert not deadlines.overdue(None, today).exists()
    assert list(deadlines.overdue(frozenset({here.pk}), today + timedelta(1))) == [first]
    assert not deadlines.overdue(frozenset(), today + timedelta(1)).exists()


def test_an_exemption_ends_by_the_clock() -> None:
    """On its last day it holds; the day after the device is found again, with an alert; once."""
    report("r1", [camera(1)])
    plans.take(Device.objects.get(), Step("exempt", reason="listed wall", exempt_until=FAR), root())
    assert clock.end_exemptions(FAR) == 0
    assert clock.end_exemptions(FAR + timedelta(1)) == 1
    assert clock.end_exemptions(FAR + timedelta(1)) == 0
    assert Device.objects.get().plan_state == "found"
    assert Alert.objects.get().kind == "exemption-ended"
    assert lines("", timezone.now().date())[""].points[-1].counts["found"] == 1


def test_many_steps_are_taken_together_or_not_at_all() -> None:
    """One device that cannot be scheduled keeps the others where they are."""
    report("r1", [camera(1), camera(2, finding="clear", policy_matches=[])])
    step = Step("scheduled", due=FAR)
    ids = list(Device.objects.order_by("pk").values_list("pk", flat=True))
    refused = plans.take_all(dict.fromkeys(ids, step), root())
    assert [row.device for row in refused] == [ids[1]]
    assert not Plan.objects.exists()
    assert len(plans.take_all(dict.fromkeys(ids, step), root(), partly=True)) == 1
    assert Plan.objects.get().device_id == ids[0]


def as_csv(rows: Sequence[Sequence[str]]) -> bytes:
    """Rows as the export writes them."""
    return "".join(sheets.csv_lines(rows)).encode()


def as_xlsx(rows: Sequence[Sequence[str]]) -> bytes:
    """Rows as a spreadsheet program saves them, with real dates."""
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    for row in rows:
        sheet.append([date.fromisoformat(cell) if cell[:2] == "20" else cell for cell in row])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


@pytest.mark.parametrize("write", [as_csv, as_xlsx])
def test_a_sheet_goes_out_and_comes_back(write: object) -> None:
    """Tried first, nothing changes; applied, the plans are as the sheet says; again, there is nothing to do."""
    report("r1", [camera(1, model="=HYPERLINK(1)"), camera(2)])
    rows = list(sheets.table(Device.objects.all()))
    assert rows[1][sheets.COLUMNS.index("model")] == "'=HYPERLINK(1)"
    edited = [rows[0]]
    for row in rows[1:]:
        cells = dict(zip(sheets.COLUMNS, row, strict=True))
        cells |= {"state": "scheduled", "due": "2027-03-31", "owner": "'+Estates"}
        edited.append(list(cells.values()))
    read = sheets.read(write(edited))  # type: ignore[operator]  # one of the two above
    tried = sheets.bring(read, root(), apply=False)
    assert (tried.changes, tried.faults, tried.applied) == (2, (), False)
    assert not Plan.objects.exists()
    assert sheets.bring(read, root(), apply=True).applied
    assert set(Plan.objects.values_list("state", "due", "owner")) == {
        ("scheduled", date(2027, 3, 31), "+Estates")
    }
    assert sheets.bring(read, root(), apply=True).changes == 0


def test_the_workbook_holds_texts_alone() -> None:
    """What would be a formula is a text in the file itself."""
    report("r1", [camera(1, model="=1+1")])
    book = load_workbook(io.BytesIO(sheets.xlsx(sheets.table(Device.objects.all()))))
    cells = [cell for row in book.worksheets[0].iter_rows() for cell in row]
    assert {cell.data_type for cell in cells} <= {"s", "n", "inlineStr"}
    assert "'=1+1" in {cell.value for cell in cells}


def test_mistakes_in_a_sheet_name_line_and_column() -> None:
    """Each with its place; one mistake, and nothing of the sheet is applied."""
    report("r1", [camera(1), camera(2)])
    first, second = Device.objects.order_by("pk").values_list("pk", flat=True)
    sheet = [
        ["device", "site", "address", "state", "due"],
        [str(first), "", "", "scheduled", "31.3.2027"],
        [str(second), "", "", "gone", ""],
        ["999999", "", "", "scheduled", "2027-03-31"],
        ["", "school-1", "10.0.0.2", "scheduled", "2027-03-31"],
    ]
    found = sheets.bring(sheets.read(as_csv(sheet)), root(), apply=True)
    assert [(fault.line, fault.column) for fault in found.faults] == [(2, "due"), (3, "state"), (4, "device")]
    assert not Plan.objects.exists()
    for body in (b"", b"a,b\n1,2\n", b"\xff\xfe", b"PK\x03\x04 no workbook", b"state,state\n"):
        with pytest.raises(sheets.SheetError):
            sheets.read(body)


def test_nobody_plans_what_is_not_theirs_by_a_sheet() -> None:
    """A technician claims removals and schedules nothing; another site's device is none."""
    report("r1", [camera(1)])
    report("r2", [camera(2)], where=site("ward", Organisation.objects.create(name="Hospital")))
    user = User.objects.create_user("tess")
    Membership.objects.create(user=user, organisation=site().organisation, role=Role.TECHNICIAN)
    mine, theirs = Device.objects.order_by("pk").values_list("pk", flat=True)
    for device, state, column in ((mine, "scheduled", "site"), (theirs, "removed", "device")):
        sheet = as_csv([["device", "state", "due"], [str(device), state, "2027-03-31"]])
        assert [row.column for row in sheets.bring(sheets.read(sheet), user, apply=True).faults] == [column]
    sheet = as_csv([["device", "state"], [str(mine), "removed"]])
    assert sheets.bring(sheets.read(sheet), user, apply=True).applied


def test_contacts_and_calls_are_kept_once() -> None:
    """Who asked whom, which cloud is called: twice the same is one, later times widen, strangers are left out."""
    for day in (0, 1):
        at = START + day * DAY
        first, last = stamp(at), stamp(at)
        told = document([camera(1, at), camera(2, at)], at)
        told["contacts"] = [
            {"from": "10.0.0.1", "to": "10.0.0.2", "protocols": ["rtsp"], "records": True, "first_seen": first, "last_seen": last},
            {"from": "10.0.0.1", "to": "192.0.2.1", "protocols": [], "records": False},
            "nonsense",
        ]  # fmt: skip
        told["phone_home"] = [
            {"device": "10.0.0.1", "maker": "Hikvision", "name": "dev.hik-connect.com", "addresses": ["192.0.2.7"], "count": 3 + day, "first_seen": first, "last_seen": last},
            {"device": "10.0.0.1", "name": 7},
        ]  # fmt: skip
        receive(Submission(f"r{day}", site(), told))
    contact, call = Contact.objects.get(), CloudCall.objects.get()
    assert (contact.records, contact.first_seen, contact.last_seen) == (True, START, START + DAY)
    assert (call.name, call.count, call.first_seen) == ("dev.hik-connect.com", 4, START)


@pytest.mark.parametrize("backwards", [False, True])
def test_contacts_across_parts_are_kept(*, backwards: bool) -> None:
    """Whom a device of one part speaks with may be in another: by MAC, address with its VLAN, channel."""
    devices = [
        camera(1, id="28:57:be:00:00:01"),
        camera(2, id="10.0.0.2@vlan20", vlans=[20]),
        camera(3, id="10.0.0.2/channel-3", addresses=[], macs=[], mac=None, serial=None, hidden=True,
               behind=[{"recorder": "10.0.0.2", "channels": ["3"]}]),
    ]  # fmt: skip
    told = document(devices)
    pairs = [(0, 1), (1, 0), (1, 2), (2, 0)]
    told["contacts"] = [
        {"from": devices[asker]["id"], "to": devices[asked]["id"], "protocols": ["rtsp"], "records": True}
        for asker, asked in pairs
    ]
    told["phone_home"] = [{"device": devices[0]["id"], "maker": "Hikvision", "name": "a.example"}]
    cut = list(enumerate(parts_of(told, {}, largest=1), start=1))
    assert len(cut) == 3
    for number, part in reversed(cut) if backwards else cut:
        receive(Submission("r", site(), unpacked(part.body), agent(), number, len(cut)))
    ids = [
        Device.objects.get(**{key: value}).pk
        for key, value in (("mac", "28:57:be:00:00:01"), ("vlan", 20), ("mac", ""))
    ]
    assert set(Contact.objects.values_list("asker", "asked")) == {(ids[a], ids[b]) for a, b in pairs}
    assert CloudCall.objects.get().device_id == ids[0]


def test_the_export_is_read_by_a_csv_reader() -> None:
    """One header, one row for each device on the timeline, all columns."""
    report("r1", [camera(1), camera(2, finding="clear", policy_matches=[])])
    text = "".join(sheets.csv_lines(sheets.table(Device.objects.all())))
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["state"] for row in rows] == ["found"]
    assert set(rows[0]) == set(sheets.COLUMNS)
