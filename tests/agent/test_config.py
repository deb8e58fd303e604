"""Tests that settings come from flags, environment and file, each mistake with its place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import ConfigError, Settings, load_settings


def written(folder: Path, text: str) -> Path:
    path = folder / "agent.toml"
    path.write_text(text)
    return path


def test_nothing_set() -> None:
    """Without any source, the defaults stand."""
    assert load_settings({"targets": None, "profile": None}, {}) == Settings()


def test_flag_over_environment_over_file(tmp_path: Path) -> None:
    """Each source gives what no higher one gave."""
    path = written(
        tmp_path, 'profile = "gentle"\nsite = "yard"\nports = [80, "8000-8002"]\ntime-limit = "10m"\n'
    )
    environ = {"CAMCENSUS_SITE": "hall", "CAMCENSUS_EXCLUDE": "192.0.2.1, 192.0.2.2", "CAMCENSUS_PROFILE": ""}
    settings = load_settings({"site": "roof", "oui": Path("oui.csv"), "interfaces": ["eth0"]}, environ, path)
    assert settings == Settings(
        exclude=("192.0.2.1", "192.0.2.2"),
        interfaces=("eth0",),
        profile="gentle",
        ports=(80, 8000, 8001, 8002),
        time_limit=600.0,
        site="roof",
        oui=Path("oui.csv"),
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('site = "a"\nprofile = "brutal"', r"agent\.toml line 2, profile: 'brutal' is not one of gentle"),
        (
            'site = "a"\n\nprofil = "gentle"',
            r"line 3: unknown setting 'profil'; there are targets, exclude, allow-public",
        ),
        ('site = "a"\n[scan]\nports = [1]', r"line 2: unknown setting 'scan'"),
        ('site = "a"\nports = [80', r"line 2: "),
        ("site = 5", r"line 1, site: 5 is not a text"),
        ("targets = [1]", r"line 1, targets: \[1\] is not a list of texts"),
        ("ports = [0]", r"line 1, ports: 0 is not a port"),
        ('ports = "80-"', r"'80-' is not a port"),
        ('ports = "1-65535"', "light touch"),
        ("ports = 80", "not a list of ports"),
        ('time_limit = "soon"', "'soon' is not a time"),
        ("time_limit = true", "True is not a time"),
    ],
)
def test_mistakes_in_the_file(tmp_path: Path, text: str, says: str) -> None:
    """A mistake in the file names file, line and what is wrong."""
    with pytest.raises(ConfigError, match=says):
        load_settings({}, {}, written(tmp_path, text))


def test_unreadable_files(tmp_path: Path) -> None:
    """A file that is missing, endless or no text is one error."""
    with pytest.raises(ConfigError, match="cannot be read"):
        load_settings({}, {}, tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="longer than"):
        load_settings({}, {}, Path("/dev/zero"))
    path = tmp_path / "agent.toml"
    path.write_bytes(b'site = "a"\nsite2 = "\xff"\n')
    with pytest.raises(ConfigError, match="line 2: not UTF-8"):
        load_settings({}, {}, path)


@pytest.mark.parametrize(
    ("flags", "environ", "says"),
    [
        ({"ports": "80,x"}, {}, "--ports: 'x' is not a port"),
        ({"time_limit": "0"}, {}, "--time-limit: '0' is not a time"),
        ({}, {"CAMCENSUS_PROFILE": "x"}, "CAMCENSUS_PROFILE: 'x' is not one of"),
    ],
)
def test_mistakes_elsewhere(flags: dict[str, Any], environ: dict[str, str], says: str) -> None:
    """A mistake in a flag or variable names it."""
    with pytest.raises(ConfigError, match=says):
        load_settings(flags, environ)


@given(st.sampled_from(["ports", "time_limit", "profile", "targets"]), st.text(max_size=20))
def test_only_config_error_escapes(name: str, text: str) -> None:
    """Whatever a setting says, it is used or refused, naming the flag."""
    try:
        load_settings({name: text}, {})
    except ConfigError as error:
        said = str(error)
    else:
        return
    assert said.startswith(f"--{name.replace('_', '-')}: ")
