"""Tests of agent.toml: what it says, and where its mistakes are."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.config import ConfigError, load_settings
from agent.schedule.settings import read_settings

GOOD = """\
profile = "gentle"
policies = ["ndaa-889"]

[agent]
name = "jump-1"
outbox-size = "500 MiB"
metrics-listen = "127.0.0.1:9117"

[inventory]
url = "nats://a:4222,nats://b:4222"
poll = "5m"

[[site]]
code = "school-1"
time-zone = "Europe/London"

[[site.scope]]
name = "cameras"
targets = ["10.20.0.0/22", "10.30.0.7"]
exclude = ["10.20.0.1"]
schedule = "30 1 * * *"
jitter = "20m"
blackout = ["Mon-Fri 07:30-18:00"]
longest = "4h"

[[site.scope]]
name = "stores"
targets = ["10.40.0.0/24"]
profile = "standard"

[[site]]
code = "school-2"

[[site.listen]]
interfaces = ["eth1"]
"""


def written(tmp_path: Path, text: str) -> Path:
    """An agent.toml."""
    path = tmp_path / "agent.toml"
    path.write_text(text)
    return path


def test_what_it_says(tmp_path: Path) -> None:
    """Each scope has its own settings, and those of the top where it says nothing."""
    settings = read_settings(written(tmp_path, GOOD), tmp_path)
    first, second = settings.scopes
    assert (first.id, first.settings.profile, first.settings.exclude) == (
        "school-1.cameras",
        "gentle",
        ("10.20.0.1",),
    )
    assert (first.jitter, first.longest, str(first.zone)) == (1200.0, 14400.0, "Europe/London")
    assert (second.id, second.settings.profile, second.cron) == ("school-1.stores", "standard", None)
    assert first.settings.policies == second.settings.policies == ("ndaa-889",)
    assert settings.listening[0].interfaces == ("eth1",)
    assert settings.outbox_size == 500 << 20
    assert settings.metrics_listen == ("127.0.0.1", 9117)
    assert settings.central is not None
    assert settings.central.poll == 300.0


def test_scan_reads_the_same_file(tmp_path: Path) -> None:
    """`scan --config` takes what stands at the top, and leaves the rest to the agent."""
    assert load_settings({}, {}, written(tmp_path, GOOD)).profile == "gentle"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "jump-1"', "", "line 4: .*needs a name"),
        ('name = "jump-1"', 'name = "a b"', "line 5, name: 'a b' is not a name"),
        ('profile = "gentle"', 'profile = "rough"', "line 1, profile: 'rough' is not one of"),
        ('profile = "gentle"', 'colour = "red"', "line 1: unknown setting 'colour'"),
        ('poll = "5m"', 'pole = "5m"', "line 11: unknown setting 'pole'; there are .*poll"),
        ('url = "nats://a:4222,nats://b:4222"', 'url = "ftp://a"', "line 10, url: 'ftp://a' is not"),
        ('schedule = "30 1 * * *"', 'schedule = "30 1"', "line 21, schedule: '30 1' has 2 fields"),
        ('longest = "4h"', 'longest = "4 hours"', "line 24, longest: '4 hours' is not a time"),
        ('blackout = ["Mon-Fri 07:30-18:00"]', 'blackout = ["noon"]', "line 23, blackout: 'noon' is not"),
        ('targets = ["10.40.0.0/24"]', "", "line 26: .*needs its targets"),
        ('name = "stores"', 'name = "cameras"', "two scopes are called school-1.cameras"),
        ('code = "school-2"', "", "line 31: .*needs its code"),
        ('interfaces = ["eth1"]', 'interfaces = "eth1"', "line 35, interfaces: 'eth1' is not a list"),
        ("[agent]", "[agent", "line 4: "),
        ('time-zone = "Europe/London"', 'time-zone = "London"', "line 15, time-zone: 'London' is not"),
    ],
)
def test_mistakes_have_their_lines(tmp_path: Path, old: str, new: str, said: str) -> None:
    """Each mistake is one line that says where it is and what would be right."""
    assert old in GOOD
    with pytest.raises(ConfigError, match=said):
        read_settings(written(tmp_path, GOOD.replace(old, new, 1)), tmp_path)


def test_a_token_that_others_may_read(tmp_path: Path) -> None:
    """A token file is for its owner alone."""
    token = tmp_path / "token"
    token.write_text("cci_x")
    token.chmod(0o644)
    text = GOOD.replace('poll = "5m"', f'token-file = "{token}"')
    with pytest.raises(ConfigError, match=r"line 11, token-file: others may read .*token: chmod 600"):
        read_settings(written(tmp_path, text), tmp_path)
    token.chmod(0o600)
    settings = read_settings(written(tmp_path, text), tmp_path)
    assert settings.central is not None
    assert settings.central.token.endswith("_x")
    assert "cci_x" not in repr(settings)


def test_nothing_to_do(tmp_path: Path) -> None:
    """Settings without a scope are a mistake."""
    with pytest.raises(ConfigError, match="nothing to do"):
        read_settings(written(tmp_path, '[agent]\nname = "a"\n'), tmp_path)
