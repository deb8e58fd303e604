"""Tests of single sign-on with a provider that somebody else wrote, on this machine."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from django.contrib.auth.models import User
from django.test import Client, override_settings

from inventory import people
from inventory.environment import ROLES, EnvironmentMistake, GroupRole, SignOn, sign_on
from inventory.models import AuditEntry, Membership, Organisation, Role, SignInFailure, SignOnIdentity
from inventory.single_sign_on import SignOnError, checked
from tests.inventory.pages.scene import PASSWORD
from tests.inventory.provider import Provider, provider

BACKENDS = ["django.contrib.auth.backends.ModelBackend", "inventory.single_sign_on.Backend"]


@pytest.fixture(scope="module")
def idp() -> Iterator[Provider]:
    """A provider that issues tokens for an hour."""
    with provider() as running:
        yield running


@contextmanager
def configured(chosen: SignOn) -> Generator[Client]:
    """A browser of an inventory that knows the provider."""
    with override_settings(OIDC=chosen, AUTHENTICATION_BACKENDS=BACKENDS):
        yield Client(SERVER_NAME="localhost")


def begin(client: Client, query: str = "") -> str:
    """The address at the provider to which somebody is sent."""
    answer = client.get(f"/sign-in/single{query}")
    assert answer.status_code == 302
    return str(answer["Location"])


def come(client: Client, idp: Provider, subject: str, query: str = "") -> Any:
    """Sign in at the provider as `subject`, and come back."""
    return client.get(idp.approve(begin(client, query), subject))


def inside(client: Client) -> bool:
    """Whether somebody has signed in."""
    return client.get("/account").status_code == 200


def refused(client: Client, answer: Any) -> bool:
    """Whether the visitor stands before the sign-in again, and is told so."""
    return (
        (answer.status_code, answer["Location"]) == (302, "/sign-in")
        and not inside(client)
        and "did not work" in client.get("/sign-in").content.decode()
    )


@pytest.mark.usefixtures("database")
def test_a_stranger_has_an_account_without_rights(idp: Provider) -> None:
    """Where they wanted to go they go; they see nothing; the same account the next time; all in the log."""
    idp.knows("s-1", preferred_username="Ada.L", email="ada@example.org")
    with configured(idp.sign_on()) as client:
        answer = come(client, idp, "s-1", "?next=/devices%3Fq=axis")
        assert (answer.status_code, answer["Location"]) == (302, "/devices?q=axis")
        assert "You have no role yet" in client.get("/account").content.decode()
        assert come(Client(SERVER_NAME="localhost"), idp, "s-1")["Location"] == "/"
        answer = come(Client(SERVER_NAME="localhost"), idp, "s-1", "?next=https://evil.example/")
        assert answer["Location"] == "/"
    user = User.objects.get()
    assert (user.username, user.email, user.has_usable_password()) == ("ada.l", "", False)
    assert not user.is_superuser
    assert not Membership.objects.exists()
    log = [(row.who, row.action, row.after) for row in AuditEntry.objects.order_by("pk")]
    came = ("ada.l", "sign-in", {"by": "single sign-on"})
    made = ("single sign-on", "create-person", {"issuer": idp.issuer, "subject": "s-1"})
    assert log == [made, came, came, came]


@pytest.mark.usefixtures("database")
@pytest.mark.parametrize("verified", [False, True])
def test_no_name_or_address_takes_an_account_over(idp: Provider, *, verified: bool) -> None:
    """Whoever is called like somebody here, with the same e-mail, verified or not, is somebody else."""
    root = User.objects.create_superuser("root", "root@example.org", PASSWORD)
    subject = f"s-2-{verified}"
    idp.knows(subject, preferred_username="ROOT", email="root@example.org", email_verified=verified)
    with configured(idp.sign_on()) as client:
        come(client, idp, subject)
        assert inside(client)
        assert client.get("/people").status_code == 403
        idp.knows(f"{subject}-c", preferred_username="command")
        come(Client(SERVER_NAME="localhost"), idp, f"{subject}-c")
    row = SignOnIdentity.objects.get(subject=subject)
    assert (row.user.username, row.user.pk == root.pk, row.user.is_superuser) == ("root-2", False, False)
    # What the log calls the command line is nobody's name.
    assert SignOnIdentity.objects.get(subject=f"{subject}-c").user.username == "command-2"


@pytest.mark.usefixtures("database")
def test_local_accounts_go_on(idp: Provider) -> None:
    """Passwords work as before, and are limited as before; who guesses them locks out nobody at the provider."""
    User.objects.create_user("ada", password=PASSWORD)
    idp.knows("s-3", preferred_username="ada")
    with configured(idp.sign_on()) as client:
        for _ in range(5):
            assert client.post("/sign-in", {"name": "ada", "password": "wrong"}).status_code == 422
        assert client.post("/sign-in", {"name": "ada", "password": PASSWORD}).status_code == 429
        counted = SignInFailure.objects.count()
        come(client, idp, "s-3")
        assert inside(client)
        assert SignInFailure.objects.count() == counted
        SignInFailure.objects.all().delete()
        other = Client(SERVER_NAME="localhost")
        # Neither a code nor a state beside a password is looked at.
        answer = other.post("/sign-in?code=x&state=y", {"name": "ada", "password": PASSWORD})
        assert answer.status_code == 302
        assert inside(other)
    assert AuditEntry.objects.filter(who="ada", action="sign-in", after={"by": "password"}).count() == 1


@pytest.mark.usefixtures("database")
def test_what_was_not_asked_is_not_answered(idp: Provider) -> None:
    """A state that is none, another's, or was used; a code that is none; a refusal there: nobody comes in."""
    idp.knows("s-4")
    with configured(idp.sign_on()) as client:
        way_back = idp.approve(begin(client), "s-4")
        stranger = Client(SERVER_NAME="localhost")
        assert refused(stranger, stranger.get(way_back))
        begin(stranger)
        assert refused(stranger, stranger.get(way_back))
        state = parse_qs(urlsplit(way_back).query)["state"][0]
        for query in ("", "?code=x", "?code=x&state=y", f"?state={state}", "?error=access_denied&state=y"):
            assert refused(client, client.get(f"/sign-in/return{query}"))
        assert client.get(way_back)["Location"] == "/"
        assert inside(client)
        client.post("/sign-out")
        assert refused(client, client.get(way_back))
        assert refused(client, client.get(idp.approve(begin(client), "")))
        asked = parse_qs(urlsplit(begin(client)).query)
        assert refused(client, client.get(f"/sign-in/return?code=none&state={asked['state'][0]}"))
    assert (asked["code_challenge_method"], asked["response_type"]) == (["S256"], ["code"])


@pytest.mark.usefixtures("database")
def test_an_error_from_anybody_ends_no_session(idp: Provider) -> None:
    """A link with an error in it, followed by somebody who has signed in, leaves them signed in."""
    with configured(idp.sign_on()) as client:
        come(client, idp, "s-5")
        client.get("/sign-in/return?error=x&state=y")
        assert inside(client)


@pytest.mark.usefixtures("database")
def test_a_token_for_another_question(idp: Provider) -> None:
    """A token with another nonce than the browser was sent with is not taken."""
    with configured(idp.sign_on()) as client:
        way_back = idp.approve(begin(client), "s-6")
        session = client.session
        (asked,) = session["oidc_states"].values()
        asked["nonce"] = "another"
        session.save()
        assert refused(client, client.get(way_back))
    assert not User.objects.exists()


@pytest.mark.usefixtures("database")
def test_a_token_that_is_over(idp: Provider) -> None:
    """A token that expired before it came is not taken, though it is the provider's own."""
    with provider("--token-max-age", "-300") as late, configured(late.sign_on()) as client:
        assert refused(client, come(client, late, "s-7"))
    assert idp.issuer
    assert not User.objects.exists()


@pytest.mark.usefixtures("database")
def test_a_provider_that_is_another_or_away(idp: Provider) -> None:
    """One that calls itself otherwise, one that is no provider, one that does not answer: a page says so."""
    for issuer in (f"{idp.issuer}/", f"{idp.issuer}/users", "http://127.0.0.1:9"):
        with configured(idp.sign_on(issuer=issuer)) as client:
            assert refused(client, client.get("/sign-in/single"))


@pytest.mark.usefixtures("database")
def test_groups_give_roles_as_long_as_they_last(idp: Provider) -> None:
    """The highest of several; those given by hand stay; a group that ends takes its role along."""
    council = Organisation.objects.create(name="Council")
    ward = Organisation.objects.create(name="Ward", parent=council)
    other = Organisation.objects.create(name="Other")
    roles = (
        GroupRole("watch", "viewer", "Council"),
        GroupRole("plan", "planner", str(council.pk)),
        GroupRole("plan", "planner", "Other"),
        GroupRole("plan", "planner", "No such"),
        GroupRole("never", "administrator", "Ward"),
    )
    idp.knows("s-8", groups=["watch", "plan"])
    with configured(idp.sign_on(*roles)) as client:
        come(client, idp, "s-8")
        user = SignOnIdentity.objects.get().user
        assert _held(user) == {("Council", "planner", True), ("Other", "planner", True)}
        root = User.objects.create_superuser("root")
        people.grant(root, user, other, Role.VIEWER)
        people.grant(root, user, ward, Role.TECHNICIAN)
        for groups, kept in ((["watch"], {("Council", "viewer", True)}), ("watch plan", set()), ([7], set())):
            idp.knows("s-8", groups=groups)
            come(Client(SERVER_NAME="localhost"), idp, "s-8")
            assert _held(user) == kept | {("Other", "viewer", False), ("Ward", "technician", False)}
    given = AuditEntry.objects.filter(who="single sign-on", action__in=("grant", "take-role-away"))
    assert [(row.before, row.after) for row in given.filter(organisation=council).order_by("pk")] == [
        (None, {"role": "planner"}),
        ({"role": "planner"}, {"role": "viewer"}),
        ({"role": "viewer"}, None),
    ]


def _held(user: User) -> set[tuple[str, str, bool]]:
    return set(Membership.objects.filter(user=user).values_list("organisation__name", "role", "by_group"))


@pytest.mark.usefixtures("database")
def test_a_closed_account_stays_closed(idp: Provider) -> None:
    """The provider vouches for somebody whose account was closed here: not here."""
    with configured(idp.sign_on()) as client:
        come(client, idp, "s-9")
        User.objects.update(is_active=False)
        assert not inside(client)
        assert refused(client, come(client, idp, "s-9"))


@pytest.mark.usefixtures("database")
def test_signing_out_ends_both_sessions(idp: Provider) -> None:
    """Here at once, then at the provider, which the policy of the page lets the form go to."""
    User.objects.create_user("ada", password=PASSWORD)
    with configured(idp.sign_on()) as client:
        come(client, idp, "s-10")
        policy = client.get("/account")["Content-Security-Policy"]
        assert f"form-action 'self' {idp.issuer};" in policy
        answer = client.post("/sign-out")
        address, _, query = answer["Location"].partition("?")
        assert address == f"{idp.issuer}/oauth2/end_session"
        given = parse_qs(query)
        assert given["post_logout_redirect_uri"] == ["http://localhost/sign-in"]
        claims = jwt.decode(given["id_token_hint"][0], options={"verify_signature": False})
        assert claims["sub"] == "s-10"
        assert not inside(client)
        client.post("/sign-in", {"name": "ada", "password": PASSWORD})
        assert client.post("/sign-out")["Location"] == "/sign-in"


@pytest.mark.usefixtures("database")
def test_nothing_is_there_without_a_provider() -> None:
    """No button, no addresses, no more in the policy of the pages."""
    client = Client(SERVER_NAME="localhost")
    page = client.get("/sign-in")
    assert "/sign-in/single" not in page.content.decode()
    assert "form-action 'self';" in page["Content-Security-Policy"]
    for address in ("/sign-in/single", "/sign-in/return?code=x&state=y"):
        assert client.get(address).status_code == 404


OURS = ec.generate_private_key(ec.SECP256R1())
CHOSEN = SignOn("https://login.example", "camcensus", "s", "n", ("openid",), "groups", ())


def _keys(*private: ec.EllipticCurvePrivateKey, kid: str | None = "k") -> dict[str, Any]:
    rows = [jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True) for key in private]
    return {"keys": [{**row, "alg": "ES256", **({"kid": kid} if kid else {})} for row in rows]}


def _token(key: Any = OURS, algorithm: str = "ES256", **claims: Any) -> str:
    now = int(time.time())
    usual = {
        "iss": CHOSEN.issuer,
        "sub": "s",
        "aud": CHOSEN.client,
        "iat": now,
        "exp": now + 60,
        "nonce": "n",
        **claims,
    }
    said = {name: value for name, value in usual.items() if value is not None}
    return jwt.encode(said, key, algorithm, headers={"kid": "k"})


def test_a_token_that_holds() -> None:
    """Signed by one of several keys, with or without a name, for us alone or for us among others."""
    for keys in (_keys(OURS), _keys(OURS, kid=None), _keys(ec.generate_private_key(ec.SECP256R1()), OURS)):
        assert checked(_token(), keys, CHOSEN, "n")["sub"] == "s"
    assert checked(_token(aud=["camcensus", "b"], azp="camcensus"), _keys(OURS), CHOSEN, "n")


@pytest.mark.parametrize(
    "token",
    [
        _token(iss="https://other.example"),
        _token(iss=None),
        _token(aud="other"),
        _token(aud=["camcensus", "other"]),
        _token(azp="other"),
        _token(exp=int(time.time()) - 3600),
        _token(exp=None),
        _token(iat=int(time.time()) + 3600),
        _token(nonce="other"),
        _token(nonce=None),
        _token(sub=None),
        _token(sub=7),
        _token(ec.generate_private_key(ec.SECP256R1())),
        _token("a shared secret that is long enough for it", "HS256"),
        _token(None, "none"),
        "x.y.z",
        "",
        "x" * 100_000,
        None,
    ],
)
def test_a_token_that_does_not_hold(token: object) -> None:
    """Another issuer, audience, party, time, question, key, a shared secret, no signature, no token."""
    with pytest.raises(SignOnError):
        checked(token, _keys(OURS), CHOSEN, "n")


def test_a_question_without_a_nonce_has_no_answer() -> None:
    """A session that holds no nonce is not met by a token that has none."""
    with pytest.raises(SignOnError):
        checked(_token(nonce=""), _keys(OURS), CHOSEN, "")


def test_the_environment_says_it_all(tmp_path: Any) -> None:
    """Issuer, client, secret from a file, groups; each mistake is named."""
    secret = tmp_path / "secret"
    secret.write_text("of ours\n")
    env = {
        "CAMCENSUS_OIDC_ISSUER": "https://login.example/realms/x",
        "CAMCENSUS_OIDC_CLIENT_ID": "c",
        "CAMCENSUS_OIDC_CLIENT_SECRET_FILE": str(secret),
        "CAMCENSUS_OIDC_ROLES": "/staff=a=viewer@Northshire Council, admins=administrator@3",
    }
    found = sign_on(env)
    assert found is not None
    assert (found.secret, found.origin, found.scopes) == (
        "of ours",
        "https://login.example",
        ("openid", "profile"),
    )
    assert found.roles == (
        GroupRole("/staff=a", "viewer", "Northshire Council"),
        GroupRole("admins", "administrator", "3"),
    )
    assert set(ROLES) == set(Role.values)
    assert sign_on({}) is None
    for name, value in (
        ("CAMCENSUS_OIDC_ISSUER", "http://login.example"),
        ("CAMCENSUS_OIDC_CLIENT_ID", ""),
        ("CAMCENSUS_OIDC_CLIENT_SECRET_FILE", ""),
        ("CAMCENSUS_OIDC_CLIENT_SECRET_FILE", str(tmp_path / "none")),
        ("CAMCENSUS_OIDC_ROLES", "admins=root@3"),
        ("CAMCENSUS_OIDC_ROLES", "admins=viewer"),
    ):
        with pytest.raises(EnvironmentMistake, match=r"CAMCENSUS_OIDC|client secret"):
            sign_on({**env, name: value})
