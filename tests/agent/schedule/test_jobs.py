"""Tests that a job from the centre stays within what the agent's own file allows."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.schedule.jobs import Job, job_scope
from agent.schedule.settings import AgentSettings, ScopePlan, read_settings

TEXT = """\
[agent]
name = "a"
[[site]]
code = "s"
[[site.scope]]
name = "cams"
targets = ["10.1.0.0/24"]
exclude = ["10.1.0.9"]
profile = "gentle"
[[site.scope]]
name = "more"
targets = ["10.2.0.0/24"]
"""


@pytest.fixture
def settings(tmp_path: Path) -> AgentSettings:
    """An agent that may scan two networks of one site."""
    path = tmp_path / "agent.toml"
    path.write_text(TEXT)
    return read_settings(path, tmp_path)


def test_a_job_within_a_scope(settings: AgentSettings) -> None:
    """Its targets take the place of the scope's; what the scope leaves out stays left out."""
    plan = job_scope(Job("1", "s", ("10.2.0.7", "10.2.0.128/26")), settings)
    assert isinstance(plan, ScopePlan)
    assert plan.settings.targets == ("10.2.0.7", "10.2.0.128/26")
    plan = job_scope(Job("1", "s", scope="cams"), settings)
    assert isinstance(plan, ScopePlan)
    assert (plan.settings.targets, plan.settings.exclude) == (("10.1.0.0/24",), ("10.1.0.9",))


@pytest.mark.parametrize(
    ("job", "why"),
    [
        (Job("1", "t"), "does not scan site t"),
        (Job("1", "s", ("10.3.0.1",)), "10.3.0.1 is outside"),
        (Job("1", "s", ("10.1.0.0/23",)), "10.1.0.0/23 is outside"),
        (Job("1", "s", ("0.0.0.0/0",)), "."),
        (Job("1", "s", ("8.8.8.8",)), "8.8.8.8 is outside"),
        (Job("1", "s", ("@/etc/passwd",)), "addresses, CIDRs or ranges"),
        (Job("1", "s", ("camera.example",)), "no address was found"),
        (Job("1", "s", ("10.1.0.7",), scope="cams", profile="thorough"), "harder than the gentle"),
        (Job("1", "s", profile="rough"), "not one of"),
        (Job("1", "s", ("10.1.0.7", "10.2.0.7")), "outside"),
    ],
)
def test_a_job_outside_is_refused(settings: AgentSettings, job: Job, why: str) -> None:
    """Neither wider nor harder than the file: the reason says what was asked."""
    refused = job_scope(job, settings)
    assert isinstance(refused, str)
    assert why in refused or why == "."


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        {"id": "1"},
        {"id": 1, "site": "s"},
        {"id": "1", "site": "s", "targets": "10.0.0.1"},
        {"id": "1", "site": "s", "targets": ["x"] * 300},
        {"id": "1" * 200, "site": "s"},
    ],
)
def test_what_is_no_job(value: object) -> None:
    """Rubbish from the centre is no job."""
    assert Job.from_json(value) is None
