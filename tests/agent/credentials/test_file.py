"""Tests of the file of credentials: private, exact, silent about what stands in it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config import ConfigError
from agent.credentials import Login, Secret, SnmpCommunity, SnmpUser, load_credentials
from agent.credentials.file import _parsed
from tests.places import REPO

WORD = "hunter2-correct-horse"
GOOD = f"""\
# whoever reads this may look at the cameras
[[login]]
name = "recorders"
hosts = ["192.0.2.0/28", "2001:db8::7"]
username = "viewer"
password = "{WORD}"

[[snmp-community]]
hosts = ["198.51.100.0/24"]
community-env = "SITE_COMMUNITY"

[[login]]
hosts = ["192.0.2.99"]
username = "old"
password-env = "OLD_PASSWORD"
basic-in-clear = true

[[snmp-user]]
hosts = ["203.0.113.0/24"]
username = "monitor"
authentication = "SHA256"
authentication-password = "{WORD}"
privacy = "aes"
privacy-password = "{WORD}"
"""
ENVIRON = {"SITE_COMMUNITY": "green", "OLD_PASSWORD": "12345"}


def written(folder: Path, text: str, mode: int = 0o600) -> Path:
    path = folder / "credentials.toml"
    path.write_text(text)
    path.chmod(mode)
    return path


def refused(path: Path, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load_credentials(path, environ or {})
    assert WORD not in str(caught.value)
    return str(caught.value).removeprefix(str(path))


def test_every_kind(tmp_path: Path) -> None:
    """Logins, communities and users are read, with secrets from the file and the environment."""
    recorders, community, user = (
        load_credentials(written(tmp_path, GOOD), ENVIRON).grants[at] for at in (0, 2, 3)
    )
    assert isinstance(recorders, Login)
    assert (recorders.name, recorders.username, recorders.basic_in_clear) == ("recorders", "viewer", False)
    assert recorders.password == Secret(WORD)
    assert [str(net) for net in recorders.hosts] == ["192.0.2.0/28", "2001:db8::7/128"]
    assert isinstance(community, SnmpCommunity)
    assert (community.name, community.community) == ("snmp-community 1", Secret("green"))
    assert isinstance(user, SnmpUser)
    assert (user.authentication, user.privacy, user.level) == ("sha256", "aes", "authPriv")
    assert user.privacy_password == Secret(WORD)
    old = load_credentials(written(tmp_path, GOOD), ENVIRON).login("192.0.2.99")
    assert old is not None
    assert (old.name, old.password, old.basic_in_clear) == ("login 2", Secret("12345"), True)


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o620, 0o601, 0o644, 0o666])
def test_others_may_not_read_it(tmp_path: Path, mode: int) -> None:
    """A file that anybody but its owner can read or write is refused, with the command that mends it."""
    said = refused(written(tmp_path, GOOD, mode), ENVIRON)
    assert said.startswith(f": others may read or change it (mode {mode:04o}): chmod 600 ")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_belongs_to_the_user(tmp_path: Path) -> None:
    """Another user's file is refused; root's is not, for root may read everything anyway."""
    path = written(tmp_path, GOOD)
    os.chown(path, 12345, -1)
    assert refused(path, ENVIRON) == ": belongs to another user"


def test_only_regular_files(tmp_path: Path) -> None:
    """A device or a missing file is refused by name."""
    with pytest.raises(ConfigError, match=r"/dev/null: is not a regular file"):
        load_credentials(Path("/dev/null"))
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read: No such file"):
        load_credentials(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('username = "viewer"\n', "", " line 2: username is a text"),
        (f'password = "{WORD}"', f"password = {WORD}", " line 6: not TOML"),
        (f'password = "{WORD}"', f'pasword = "{WORD}"', " line 6: 'pasword' is not known in [[login]]"),
        (f'password = "{WORD}"', "", " line 2: needs password, password-env or password-keyring"),
        (f'password = "{WORD}"', f'password = "{WORD}\\u0000"', " line 6: password is a text"),
        ('"192.0.2.0/28"', '"192.0.2.1/28"', " line 4: '192.0.2.1/28' is no address or net"),
        ('"192.0.2.0/28", "2001:db8::7"', "", " line 4: hosts = "),
        ('"192.0.2.0/28"', "7", " line 4: 7 is no address"),
        ('"SITE_COMMUNITY"', '"NOT_THERE"', " line 10: the environment has no NOT_THERE"),
        (
            'password-env = "OLD_PASSWORD"',
            'password-env = "OLD_PASSWORD"\npassword = "x"',
            " line 15: password and password-env exclude",
        ),
        ('"SHA256"', '"crc"', " line 21: is one of md5, sha, "),
        (f'authentication-password = "{WORD}"\n', "", " line 21: authentication and its password stand"),
        ("basic-in-clear = true", 'basic-in-clear = "yes"', " line 16: is true or false"),
        ('username = "old"', 'username = "o:ld"', " line 14: basic authentication knows no user names"),
        (f'privacy-password = "{WORD}"', 'privacy-password = "1234567"', " line 24: is shorter than 8"),
        ("[[snmp-user]]", "[[smtp]]", " line 18: a table is one of [[login]], "),
        ("[[snmp-user]]", "[snmp-user]", " line 18: a table is one of [[login]], "),
        ('name = "recorders"', 'name = "login 2"', ": two credentials have the name 'login 2'"),
    ],
)
def test_mistakes_have_their_line(tmp_path: Path, old: str, new: str, said: str) -> None:
    """Each mistake is refused with the file and its line, and never with a password."""
    assert old in GOOD
    assert refused(written(tmp_path, GOOD.replace(old, new, 1)), ENVIRON).startswith(said)


def test_privacy_needs_authentication(tmp_path: Path) -> None:
    """SNMPv3 has no encryption without a signature."""
    text = '[[snmp-user]]\nhosts = ["192.0.2.1"]\nusername = "m"\nprivacy = "aes"\nprivacy-password = "12345678"\n'
    assert refused(written(tmp_path, text)).startswith(" line 4: there is no privacy without authentication")


def test_nothing_in_it(tmp_path: Path) -> None:
    """A file without credentials is a mistake, too."""
    assert refused(written(tmp_path, "# later\n")) == ": holds 0 credentials, not 1 to 10,000"


def test_not_text(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 are refused with their line; the exception does not carry the file along."""
    path = tmp_path / "credentials.toml"
    path.write_bytes(GOOD.encode() + b'x = "\xff"\n')
    path.chmod(0o600)
    with pytest.raises(ConfigError) as caught:
        load_credentials(path, ENVIRON)
    assert str(caught.value) == f"{path} line 25: not UTF-8"
    assert caught.value.__context__ is None


@given(st.text(max_size=200))
def test_parser_never_fails(text: str) -> None:
    """Whatever the text is, there are tables or the number of a line that is wrong."""
    table, line = _parsed(text)
    assert (line is None) or (not table and line >= 0)


def from_keyring(folder: Path, backend: str, code: str) -> subprocess.CompletedProcess[str]:
    path = folder / "credentials.toml"
    path.touch(0o600)
    path.write_text('[[login]]\nhosts = ["192.0.2.1"]\nusername = "viewer"\npassword-keyring = "recorders"\n')
    environ = {"PYTHON_KEYRING_BACKEND": backend, "XDG_DATA_HOME": str(folder), "PATH": os.environ["PATH"]}
    whole = (
        "from pathlib import Path\nfrom agent.config import ConfigError\n"
        f"from agent.credentials import load_credentials\n{code}"
        f"try: print(load_credentials(Path({str(path)!r})).login('192.0.2.1').password.reveal())\n"
        "except ConfigError as error: print(error)\n"
    )
    return subprocess.run(
        [sys.executable, "-c", whole], cwd=REPO, env=environ, capture_output=True, text=True, check=False
    )


def test_keyring(tmp_path: Path) -> None:
    """A password that was put into a keyring is found there by service and user name."""
    put = f"import keyring\nkeyring.set_password('recorders', 'viewer', {WORD!r})\n"
    done = from_keyring(tmp_path, "keyrings.alt.file.PlaintextKeyring", put)
    assert (done.stdout, done.stderr) == (f"{WORD}\n", "")


def test_a_keyring_is_asked_once_for_a_name(tmp_path: Path) -> None:
    """Several entries that name the same secret cost its user one question."""
    path = tmp_path / "two.toml"
    path.touch(0o600)
    entry = '[[login]]\nhosts = ["192.0.2.{}"]\nusername = "viewer"\npassword-keyring = "recorders"\n'
    path.write_text(entry.format(1) + entry.format(2))
    code = (
        f"import keyring\nkeyring.set_password('recorders', 'viewer', {WORD!r})\nreal = keyring.get_password\n"
        "def asked(*names):\n    print('asked', *names)\n    return real(*names)\nkeyring.get_password = asked\n"
        f"grants = load_credentials(Path({str(path)!r})).grants\n"
        "print(*(grant.password.reveal() for grant in grants))\n"
    )
    done = from_keyring(tmp_path, "keyrings.alt.file.PlaintextKeyring", code)
    assert done.stdout.splitlines()[:2] == ["asked recorders viewer", f"{WORD} {WORD}"], done.stderr


def test_keyring_without_it(tmp_path: Path) -> None:
    """A keyring that has no such password, and a system without a keyring, are said with the line."""
    done = from_keyring(tmp_path, "keyrings.alt.file.PlaintextKeyring", "")
    assert "line 4: the keyring has no 'recorders' for 'viewer'" in done.stdout
    done = from_keyring(tmp_path, "keyring.backends.fail.Keyring", "")
    assert "line 4: the keyring cannot be used: " in done.stdout
    done = from_keyring(
        tmp_path, "keyring.backends.fail.Keyring", "import sys\nsys.modules['keyring'] = None\n"
    )
    assert "line 4: needs the extra: pip install 'camcensus[keyring]'" in done.stdout
