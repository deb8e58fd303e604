"""Signs people in whom a provider of OpenID Connect vouches for (OpenID Connect Core 1.0, 3.1).

The authorization code flow with PKCE, state and nonce is mozilla-django-oidc's. What the provider says is
checked here, more strictly than there: signature by a key of the provider (no shared secret, never none),
issuer, audience, times, nonce. Loaded only where a provider is configured.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlencode

import jwt
import requests
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import User
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from mozilla_django_oidc.auth import OIDCAuthenticationBackend
from mozilla_django_oidc.views import OIDCAuthenticationCallbackView, OIDCAuthenticationRequestView

from inventory import people
from inventory.arrivals import arrive
from inventory.environment import SignOn, is_safe, origin

__all__ = ["Backend", "Begin", "Return", "SignOnError", "checked", "farewell"]

_SECONDS: Final = 10
_LEEWAY: Final = 60
_RENEWED: Final = 3600.0
_MAX_TOKEN: Final = 64 * 1024
_MAX_KEYS: Final = 50
# A shared secret would let whoever knows it make tokens; "none" would let anybody.
_ALGORITHMS: Final = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
)  # fmt: skip
_log = logging.getLogger(__name__)


class SignOnError(Exception):
    """The provider does not vouch for anybody: says why, for the log."""


@dataclass(frozen=True, slots=True)
class _Provider:
    """Where a provider is asked what (OpenID Connect Discovery 1.0, 3)."""

    authorization: str
    token: str
    keys: str
    people: str
    farewell: str
    basic: bool
    """Whether the token endpoint takes the secret in a header alone."""


@lru_cache(maxsize=2)
def _discovered(issuer: str, _hour: int) -> _Provider:
    said = _asked(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
    if said.get("issuer") != issuer:
        raise SignOnError(f"the provider calls itself {str(said.get('issuer'))[:200]!r}, not {issuer!r}")
    places = [
        str(said.get(f"{name}_endpoint") or "")
        for name in ("authorization", "token", "userinfo", "end_session")
    ]
    keys = str(said.get("jwks_uri") or "")
    for needed in (*places[:2], keys, *(place for place in places[2:] if place)):
        if not is_safe(needed):
            raise SignOnError(f"the provider names {needed[:200]!r}, which is no https: address")
    ways = said.get("token_endpoint_auth_methods_supported", ("client_secret_basic",))
    basic = not isinstance(ways, list | tuple) or "client_secret_post" not in ways
    return _Provider(places[0], places[1], keys, places[2], places[3], basic)


def _provider() -> _Provider:
    """The provider as it describes itself, asked again each hour; raises SignOnError, OSError."""
    return _discovered(_chosen().issuer, int(time.monotonic() / _RENEWED))


def _chosen() -> SignOn:
    if settings.OIDC is None:
        raise SignOnError("no provider is configured")
    chosen: SignOn = settings.OIDC
    return chosen


def _asked(url: str, bearer: str = "") -> Mapping[str, Any]:
    headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
    answer = requests.get(url, headers=headers, timeout=_SECONDS, allow_redirects=False)
    if answer.status_code != requests.codes.ok:
        raise SignOnError(f"{url} answers {answer.status_code}")
    said = answer.json()
    if not isinstance(said, dict):
        raise SignOnError(f"{url} answers something else than an object")
    return said


def checked(token: object, keys: Mapping[str, Any], provider: SignOn, nonce: str) -> dict[str, Any]:
    """The claims of an ID token (Core 1.0, 3.1.3.7) that one of `keys` signed; raises SignOnError."""
    if not isinstance(token, str) or len(token) > _MAX_TOKEN:
        raise SignOnError("the provider gives no ID token")
    try:
        header = jwt.get_unverified_header(token)
        fitting = [
            key
            for key in jwt.PyJWKSet.from_dict(dict(keys)).keys[:_MAX_KEYS]
            if "kid" not in header or key.key_id in {None, header["kid"]}
        ]
        claims = _signed(token, header.get("alg"), fitting, provider)
    except jwt.PyJWTError as error:
        raise SignOnError(f"the ID token does not hold: {error}") from error
    parties = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    if claims.get("azp", provider.client) != provider.client or (len(parties) > 1 and "azp" not in claims):
        raise SignOnError("the ID token was made for somebody else")
    if not nonce or claims.get("nonce") != nonce:
        raise SignOnError("the ID token answers another question")
    return claims


def _signed(token: str, algorithm: object, keys: list[jwt.PyJWK], provider: SignOn) -> dict[str, Any]:
    if algorithm not in _ALGORITHMS:
        raise SignOnError(f"the ID token is signed by {str(algorithm)[:20]!r}")
    for key in keys:
        try:
            return jwt.decode(
                token,
                key,
                algorithms=[str(algorithm)],
                audience=provider.client,
                issuer=provider.issuer,
                leeway=_LEEWAY,
                options={"require": ["iss", "sub", "aud", "exp", "iat"]},
            )
        except (jwt.InvalidSignatureError, jwt.InvalidAlgorithmError, jwt.InvalidKeyError):
            continue
    raise SignOnError("no key of the provider signed the ID token")


class _Configured:
    """Answers what mozilla-django-oidc asks of settings, from the provider's own description."""

    @staticmethod
    def get_settings(name: str, *default: Any) -> Any:
        """The library's setting `name`."""
        if name == "OIDC_OP_AUTHORIZATION_ENDPOINT":
            return _provider().authorization
        if name == "OIDC_TOKEN_USE_BASIC_AUTH":
            return _provider().basic
        chosen = _chosen()
        known = {
            "OIDC_RP_CLIENT_ID": chosen.client,
            "OIDC_RP_CLIENT_SECRET": chosen.secret,
            "OIDC_RP_SCOPES": " ".join(chosen.scopes),
            "OIDC_USE_PKCE": True,
            "OIDC_TIMEOUT": _SECONDS,
            "OIDC_STORE_ID_TOKEN": True,
            "OIDC_AUTHENTICATION_CALLBACK_URL": "sign-on-return",
            "LOGIN_REDIRECT_URL": settings.LOGIN_REDIRECT_URL,
        }
        return known[name] if name in known else default[0] if default else None


class Backend(_Configured, OIDCAuthenticationBackend):  # type: ignore[misc]  # the library has no types
    """Who the provider says somebody is; passwords are none of its business."""

    def __init__(self) -> None:
        # Each page makes one to know its visitor: nobody is asked for that.
        self.UserModel = User

    def get_user(self, user_id: int) -> User | None:
        """Whose session it is, as long as the account is open; the library would let closed ones go on."""
        return User.objects.filter(pk=user_id, is_active=True).first()

    def authenticate(self, request: HttpRequest | None, *, nonce: str, code_verifier: str) -> User | None:
        """The account of whoever comes back with a code; raises SignOnError, OSError, ValueError."""
        if request is None:
            return None
        self.request, chosen, place = request, _chosen(), _provider()
        self.OIDC_OP_TOKEN_ENDPOINT = place.token
        given = self.get_token(
            {
                "client_id": chosen.client,
                "client_secret": chosen.secret,
                "grant_type": "authorization_code",
                "code": request.GET["code"],
                "redirect_uri": request.build_absolute_uri(reverse("sign-on-return")),
                "code_verifier": code_verifier,
            }
        )
        if not isinstance(given, dict):
            raise SignOnError("the provider gives no tokens")
        claims = checked(given.get("id_token"), _asked(place.keys), chosen, nonce)
        if place.people and isinstance(given.get("access_token"), str):
            more = _asked(place.people, given["access_token"])
            if more.get("sub") != claims["sub"]:
                raise SignOnError("the provider speaks of two people")
            claims = {**more, **claims}
        self.store_tokens(None, given["id_token"])
        return arrive(chosen, claims)


class Begin(_Configured, OIDCAuthenticationRequestView):  # type: ignore[misc]  # the library has no types
    """Sends a visitor to the provider."""

    def __init__(self, **kwargs: Any) -> None:
        super(OIDCAuthenticationRequestView, self).__init__(**kwargs)

    def get(self, request: HttpRequest) -> HttpResponse:
        """Go there, or say that it cannot be reached."""
        try:
            self.OIDC_OP_AUTH_ENDPOINT = _provider().authorization
            self.OIDC_RP_CLIENT_ID = _chosen().client
            found: HttpResponse = super().get(request)
        except (SignOnError, OSError, ValueError) as why:
            return _failed(request, why)
        return found


class Return(_Configured, OIDCAuthenticationCallbackView):  # type: ignore[misc]  # the library has no types
    """Meets a visitor whom the provider sends back."""

    def get(self, request: HttpRequest) -> HttpResponse:
        """Sign in whom it vouches for; anything else ends on the page to sign in."""
        if said := request.GET.get("error", ""):
            # Anybody can send somebody here with an error: it ends no session.
            request.session.get("oidc_states", {}).pop(request.GET.get("state", ""), None)
            request.session.modified = True
            return _failed(request, SignOnError(f"the provider says {said[:100]!r}"))
        try:
            found: HttpResponse = super().get(request)
        except (SignOnError, SuspiciousOperation, OSError, ValueError) as why:
            return _failed(request, why)
        return found

    def login_success(self) -> HttpResponse:
        """Begin the session, with an entry in the log."""
        found: HttpResponse = super().login_success()
        people.signed_in(self.user, "single sign-on")
        return found

    def login_failure(self) -> HttpResponse:
        """Say that it did not work: the account is closed, or nothing was asked."""
        return _failed(self.request, SignOnError("nobody who may come in"))


def _failed(request: HttpRequest, why: Exception) -> HttpResponse:
    _log.warning("single sign-on failed: %s", str(why)[:500])
    messages.error(
        request,
        f"Signing in with {_chosen().name} did not work. Try again; an administrator finds the reason in the log.",
    )
    return redirect("sign-in")


def farewell(request: HttpRequest) -> str:
    """Where the session at the provider is ended, for a visitor who came from there; else empty.

    (OpenID Connect RP-Initiated Logout 1.0, 2)
    """
    if not request.session.get("_auth_user_backend", "").startswith(f"{__name__}."):
        return ""
    try:
        place = _provider().farewell
    except (SignOnError, OSError, ValueError) as why:
        _log.warning("the provider is not told that somebody signs out: %s", why)
        return ""
    chosen = _chosen()
    if not place or origin(place) != chosen.origin:
        return ""
    given = {
        "client_id": chosen.client,
        "post_logout_redirect_uri": request.build_absolute_uri(reverse("sign-in")),
    }
    if token := request.session.get("oidc_id_token"):
        given["id_token_hint"] = token
    return f"{place}{'&' if '?' in place else '?'}{urlencode(given)}"
