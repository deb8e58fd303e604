"""Tests of the outbox: kept until acknowledged, bounded, what changed last to go."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agent.outbox import Limits, Outbox, OutboxError
from agent.outbox.parts import parts_of, unpacked
from exchange.parcel import Receipt
from tests.agent.outbox.reports import camera, document
from tests.places import REPO

DAY = 86_400.0


def stored(outbox: Outbox, now: float = 0.0) -> list[dict[str, Any]]:
    """Take everything out as the inventory would, and give the devices."""
    found = []
    while waiting := outbox.due(now):
        for each in waiting:
            found += unpacked(each.parcel.body)["devices"]
            assert outbox.receive(
                Receipt(each.parcel.site, each.parcel.report, each.parcel.part, stored=True)
            )
    return found


def test_a_report_waits_until_it_is_acknowledged(tmp_path: Path) -> None:
    """A report survives a new start, in parts of at most 500 devices; each part goes with its receipt."""
    path = tmp_path / "state" / "outbox.sqlite3"
    outbox = Outbox(path)
    assert outbox.put("school-1", "r1", document([camera(number) for number in range(1201)]), 1.0)
    outbox.close()
    outbox = Outbox(path)
    waiting = outbox.due(2.0)
    assert [(each.parcel.part, each.parcel.parts) for each in waiting] == [(1, 3), (2, 3), (3, 3)]
    assert [len(unpacked(each.parcel.body)["devices"]) for each in waiting] == [500, 500, 201]
    assert all(unpacked(each.parcel.body)["coverage"] == {"incomplete": False} for each in waiting)
    assert outbox.receive(Receipt("school-1", "r1", 2, stored=True))
    assert not outbox.receive(Receipt("school-1", "r1", 2, stored=True))
    assert [each.parcel.part for each in outbox.due(2.0)] == [1, 3]
    assert outbox.status(11.0).oldest == 10.0
    assert path.stat().st_mode & 0o077 == 0


def test_the_same_report_is_kept_once(tmp_path: Path) -> None:
    """Who was killed before it knew puts again; what was sent by then does not come back."""
    outbox = Outbox(tmp_path / "o")
    assert outbox.put("s", "r1", document([camera(1)]), 1.0)
    assert not outbox.put("s", "r1", document([camera(1)]), 2.0)
    assert len(stored(outbox, 3.0)) == 1
    assert not outbox.put("s", "r1", document([camera(1)]), 4.0)
    assert not outbox.due(5.0)


def test_an_empty_report_is_a_report(tmp_path: Path) -> None:
    """That nothing was found has to reach the inventory."""
    outbox = Outbox(tmp_path / "o")
    outbox.put("s", "r1", document([]), 1.0)
    assert unpacked(outbox.due(1.0)[0].parcel.body) == document([])


def test_what_changed_is_known() -> None:
    """A device that says the same as last time is no change, whatever the time; another firmware is one."""
    first = [camera(1), camera(2)]
    known = {key: digest for part in parts_of(document(first), {}) for key, digest in part.digests.items()}
    later = document([camera(1, last_seen="2026-03-02T06:00:00Z"), camera(2, firmware="V5.5"), camera(3)])
    (part,) = parts_of(later, known)
    assert part.changed == (1, 2)


def test_a_full_outbox_lets_go_of_old_sightings_first(tmp_path: Path) -> None:
    """Of a month without a link, what changed is there to the last; what was let go of is counted, and told."""
    first = document([camera(number) for number in range(300)])
    size = sum(len(part.body) for part in parts_of(first, {}))
    outbox = Outbox(tmp_path / "o", Limits(size=12 * size))
    outbox.put("s", "day-0", first, 0.0)
    for day in range(1, 31):
        rows = [camera(number) for number in range(300)]
        rows[day] = camera(day, firmware=f"V{day}")
        outbox.put("s", f"day-{day}", document(rows), day * DAY)
    status = outbox.status(31 * DAY)
    assert status.size <= 12 * size
    assert status.lost_changed == 0
    assert status.lost_unchanged >= 15 * 298
    trimmed = [unpacked(each.body) for each in outbox.every() if "~" in each.report]
    assert trimmed
    assert all(report["coverage"]["incomplete"] for report in trimmed)
    assert all(len(report["devices"]) in {1, 2, 300} for report in trimmed)
    problems = [
        problem
        for each in outbox.every()
        for problem in unpacked(each.body)["problems"]
        if problem["kind"] == "outbox-lost"
    ]
    assert problems
    found = {row.get("firmware") for row in stored(outbox, 31 * DAY)}
    assert {f"V{day}" for day in range(1, 31)} <= found


def test_changes_go_last_and_never_silently(tmp_path: Path) -> None:
    """Where nothing else is left the oldest changes go: counted as such, and seen as new the next time."""
    one = sum(len(part.body) for part in parts_of(document([camera(1)]), {}))
    outbox = Outbox(tmp_path / "o", Limits(size=2 * one + one // 2))
    for number in range(4):
        outbox.put("s", f"r{number}", document([camera(number)]), float(number))
    status = outbox.status(9.0)
    assert (status.lost_changed, status.parts) == (2, 2)
    outbox.put("t", "again", document([camera(0)]), 9.0)
    assert {each.parcel.report for each in outbox.due(9.0)} >= {"again"}


def test_what_is_too_old_goes(tmp_path: Path) -> None:
    """A report older than the limit is let go of when the next comes, and counted."""
    outbox = Outbox(tmp_path / "o", Limits(days=30))
    outbox.put("s", "old", document([camera(1)]), 0.0)
    outbox.put("s", "new", document([camera(2)]), 31 * DAY)
    assert [each.parcel.report for each in outbox.due(31 * DAY)] == ["new"]
    assert outbox.status(31 * DAY).lost_changed == 1


def test_poison_is_set_aside_with_the_reason(tmp_path: Path) -> None:
    """What the inventory can never take is kept apart, and not sent again."""
    outbox = Outbox(tmp_path / "o")
    outbox.put("s", "r1", document([camera(1)]), 1.0)
    assert outbox.receive(Receipt("s", "r1", 1, stored=False, reason="schema 9 is not one"))
    assert not outbox.due(99.0)
    assert outbox.status().aside == 1
    assert outbox.asides()[0]["why"] == "schema 9 is not one"


def test_what_was_too_large_is_halved_with_what_was_taken_left_alone(tmp_path: Path) -> None:
    """Half of the devices a part, under another id, marked as not the whole where a part was taken before."""
    outbox = Outbox(tmp_path / "o")
    outbox.put("s", "r1", document([camera(number) for number in range(900)]), 1.0)
    first, second = outbox.due(1.0)
    outbox.receive(Receipt("s", "r1", first.parcel.part, stored=True))
    assert outbox.smaller(second.parcel)
    waiting = outbox.due(9.0)
    assert [len(unpacked(each.parcel.body)["devices"]) for each in waiting] == [200, 200]
    assert all(unpacked(each.parcel.body)["coverage"]["incomplete"] for each in waiting)
    assert {each.parcel.report for each in waiting} == {"r1~200"}
    outbox.put("s", "r2", document([camera(number, firmware="2") for number in range(300)]), 10.0)
    assert [len(unpacked(each.parcel.body)["devices"]) for each in outbox.due(10.0)][2:] == [200, 100]


def test_one_device_cannot_be_halved(tmp_path: Path) -> None:
    """A part of one device stays as it is."""
    outbox = Outbox(tmp_path / "o")
    outbox.put("s", "r1", document([camera(1)]), 1.0)
    assert not outbox.smaller(outbox.due(1.0)[0].parcel)


def test_a_full_disk_keeps_what_was_there(tmp_path: Path) -> None:
    """Where nothing more can be written the new report is refused whole, by name; the old ones wait on."""
    outbox = Outbox(tmp_path / "o")
    outbox.put("s", "r1", document([camera(1)]), 1.0)
    pages = outbox._base.execute("PRAGMA page_count").fetchone()[0]
    outbox._base.execute(f"PRAGMA max_page_count={pages + 2}")
    with pytest.raises(OutboxError, match=r"/o: .*full"):
        outbox.put("s", "r2", document([camera(n, model=os.urandom(800).hex()) for n in range(400)]), 2.0)
    outbox._base.execute("PRAGMA max_page_count=1000000")
    assert [each.parcel.report for each in outbox.due(3.0)] == ["r1"]
    assert outbox.put("s", "r2", document([camera(2)]), 4.0)


def test_rubbish_for_a_file_is_named(tmp_path: Path) -> None:
    """A file that is no outbox is one line, not a traceback."""
    path = tmp_path / "o"
    path.write_bytes(b"not a database at all" * 100)
    with pytest.raises(OutboxError, match="/o: file is not a database"):
        Outbox(path)


def test_killed_in_the_middle_of_writing(tmp_path: Path) -> None:
    """Whenever the process is killed, each report is there whole or not at all, and the file is sound."""
    path = tmp_path / "o"
    code = (
        "import sys; from pathlib import Path; from agent.outbox import Outbox\n"
        "from tests.agent.outbox.reports import camera, document\n"
        "box = Outbox(Path(sys.argv[1])); number = int(sys.argv[2])\n"
        "while True:\n"
        "    number += 1\n"
        "    box.put('s', f'r{number}', document([camera(n, serial=f'{number}-{n}') for n in range(700)]))\n"
        "    print(number, flush=True)\n"
    )
    said = 0
    for _ in range(4):
        with subprocess.Popen(
            [sys.executable, "-c", code, str(path), str(said)], cwd=REPO, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            for _ in range(3):
                said = int(process.stdout.readline())
            process.send_signal(signal.SIGKILL)
            said = max([said, *(int(line) for line in process.stdout.read().split())])
        base = sqlite3.connect(path)
        assert base.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        counts = dict(base.execute("SELECT report, count(*) FROM part GROUP BY report"))
        base.close()
        assert set(counts.values()) == {2}
        assert {f"r{number}" for number in range(1, said + 1)} <= set(counts)
        said = len(counts)
