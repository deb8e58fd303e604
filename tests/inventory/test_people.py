"""Tests of rights in parts of the tree, steps of people, the log of both, judging again."""

from __future__ import annotations

from datetime import date

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.db import DatabaseError, transaction

from fingerprints.compiled import compiled_matchers
from fingerprints.judge import Judge
from fingerprints.policy import DEFAULT_POLICIES, load_policies
from inventory import audit, plans, rights
from inventory.evaluation import judge_again
from inventory.models import AuditEntry, Device, Membership, Organisation, Role
from inventory.timeline import Step
from tests.inventory.making import camera, report, site

pytestmark = pytest.mark.usefixtures("database")


def test_a_role_reaches_what_stands_below_it() -> None:
    """A planner of a department plans in its schools, sees nothing of a neighbour, administers nothing."""
    top = Organisation.objects.create(name="Department")
    school = Organisation.objects.create(name="School", parent=top)
    other = Organisation.objects.create(name="Hospital")
    mine, theirs = site("mine", school), site("theirs", other)
    user = User.objects.create_user("ada")
    Membership.objects.create(user=user, organisation=top, role=Role.PLANNER)
    assert list(rights.sites(user)) == [mine]
    assert rights.may(user, Role.PLANNER, mine)
    assert not rights.may(user, Role.ADMINISTRATOR, mine)
    assert not rights.may(user, Role.VIEWER, theirs)
    assert not rights.sites(AnonymousUser()).exists()
    user.is_active = False
    assert not rights.sites(user).exists()


def test_a_part_of_the_tree_moves_with_what_hangs_below() -> None:
    """Paths follow; an organisation cannot stand below itself."""
    one, two = Organisation.objects.create(name="1"), Organisation.objects.create(name="2")
    below = Organisation.objects.create(name="3", parent=one)
    leaf = Organisation.objects.create(name="4", parent=below)
    below.parent = two
    below.save()
    leaf.refresh_from_db()
    assert leaf.path == f"{two.path}{below.pk}/{leaf.pk}/"
    two.parent = leaf
    with pytest.raises(ValueError, match="below itself"):
        two.save()


def test_a_step_is_written_down() -> None:
    """Who scheduled what, with before and after."""
    report("r1", [camera(1)])
    user = User.objects.create_user("ada")
    plan = plans.take(Device.objects.get(), Step("scheduled", due=date(2027, 1, 1), owner="Estates"), user)
    assert (plan.state, Device.objects.get().plan_state) == ("scheduled", "scheduled")
    entry = AuditEntry.objects.get(action="plan")
    assert (entry.who, entry.before, (entry.after or {})["due"]) == ("ada", {"state": "found"}, "2027-01-01")


def test_the_log_cannot_be_altered() -> None:
    """Neither by an object nor by a statement: the database itself refuses."""
    entry = audit.record("ada", "test", "thing 1")
    with pytest.raises(TypeError):
        entry.delete()
    for deed in (lambda: AuditEntry.objects.all().delete(), lambda: AuditEntry.objects.update(who="eve")):
        with pytest.raises(DatabaseError), transaction.atomic():
            deed()
    assert AuditEntry.objects.get().who == "ada"


def test_devices_are_judged_again_without_a_scan() -> None:
    """Today's rules read the kept facts; the old verdict stays in the history; twice changes nothing."""
    report("r1", [camera(1, manufacturer="Axis", finding="clear", policy_matches=[])])
    matchers = compiled_matchers()
    judge, policies = Judge(matchers), load_policies(matchers.knowledge, DEFAULT_POLICIES)
    found = judge_again(judge, policies)
    device = Device.objects.get()
    assert (found.devices, found.verdicts, found.findings) == (1, 1, 1)
    assert (device.manufacturer, device.finding, device.plan_state) == ("Hikvision", "flagged", "found")
    assert device.verdicts.count() == device.findings.count() == 2
    again = judge_again(judge, policies)
    assert (again.verdicts, again.findings) == (0, 0)
