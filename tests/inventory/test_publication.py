"""Tests of what is suppressed in published figures."""

from __future__ import annotations

import itertools
import random
from datetime import date

import pytest

from inventory.models import Organisation
from inventory.publication import publication, suppressed
from tests.inventory.making import camera, report, site

Cell = tuple[str, str]


def grid(counts: list[list[int]]) -> tuple[dict[Cell, int], list[list[Cell]]]:
    """A table with its totals, as values with the lines that add up."""
    values: dict[Cell, int] = {}
    rows, columns = (
        [str(row) for row in range(len(counts))],
        [str(column) for column in range(len(counts[0]))],
    )
    for row, column in itertools.product(rows, columns):
        values[row, column] = counts[int(row)][int(column)]
    for row in rows:
        values[row, "all"] = sum(values[row, column] for column in columns)
    for column in [*columns, "all"]:
        values["all", column] = sum(values[row, column] for row in rows)
    lines = [[(row, column) for column in [*columns, "all"]] for row in [*rows, "all"]]
    lines += [[(row, column) for row in [*rows, "all"]] for column in [*columns, "all"]]
    return values, lines


def test_one_small_count_hides_its_neighbours() -> None:
    """A single small count would be what its row lacks: others of its row and column go with it."""
    values, lines = grid([[2, 40, 50], [60, 70, 80], [90, 100, 110]])
    hidden = suppressed(values, lines, 5)
    assert ("0", "0") in hidden
    for line in lines:
        assert len(hidden.intersection(line)) != 1


def test_large_counts_are_all_told() -> None:
    """Nothing is hidden where nothing is small; noughts are told."""
    assert not suppressed(*grid([[5, 0], [70, 8]]), 5)


@pytest.mark.parametrize("seed", range(20))
def test_no_hidden_count_can_be_worked_out(seed: int) -> None:
    """For each hidden count there is another table with the same told figures that has another count there."""
    dice = random.Random(seed)  # noqa: S311 - no secret hangs on it
    counts = [[dice.choice([0, 1, 3, 7, 20, 90]) for _ in range(4)] for _ in range(4)]
    values, lines = grid(counts)
    hidden = suppressed(values, lines, 5)
    assert {key for key, value in values.items() if 0 < value < 5} <= hidden
    for key in hidden:
        assert _free(key, hidden), (counts, key)


def _free(key: Cell, hidden: frozenset[Cell]) -> bool:
    """Whether the hidden counts can be altered, this one among them, so that every line still adds up.

    Such an alteration is a closed walk through hidden counts, by row and by column in turn: a count
    that lies on none is the only link between two parts of the table.
    """
    row, column = key
    reached, waiting = {("row", row)}, [("row", row)]
    while waiting:
        kind, name = waiting.pop()
        for one, two in hidden - {key}:
            near = (
                ("column", two)
                if kind == "row" and one == name
                else ("row", one)
                if kind == "column" and two == name
                else None
            )
            if near and near not in reached:
                reached.add(near)
                waiting.append(near)
    return ("column", column) in reached


@pytest.mark.usefixtures("database")
def test_figures_name_no_place_below_the_level() -> None:
    """Organisations to the level asked for; no address, no site, no count of two."""
    top = Organisation.objects.create(name="Department")
    one = Organisation.objects.create(name="One", parent=top)
    two = Organisation.objects.create(name="Two", parent=top)
    report("r1", [camera(number) for number in range(20)], where=site("secret-1", one))
    report("r2", [camera(20 + number) for number in range(2)], where=site("secret-2", two))
    found = publication(None, date(2026, 4, 1), 1)
    by = {table.by: dict(table.rows) for table in found.tables}
    assert set(by["organisation"]) == {"Department", "all"}
    assert by["organisation"]["Department"][-1] == 22
    deeper = {table.by: dict(table.rows) for table in publication(None, date(2026, 4, 1), 2).tables}
    assert set(deeper["organisation"]) == {"One", "Two", "all"}
    assert deeper["organisation"]["Two"][-1] is None
    assert deeper["organisation"]["One"][-1] is None
    assert "secret" not in repr(found).lower()
    assert "10.0.0" not in repr(found)
