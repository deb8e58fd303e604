"""Credentials that the user supplies: read from a file, matched to hosts, masked wherever shown."""

from agent.credentials.attempts import Attempts
from agent.credentials.file import load_credentials
from agent.credentials.grants import Credentials, Grant, Login, SnmpCommunity, SnmpUser
from agent.credentials.secret import MASK, Secret

__all__ = [
    "MASK",
    "Attempts",
    "Credentials",
    "Grant",
    "Login",
    "Secret",
    "SnmpCommunity",
    "SnmpUser",
    "load_credentials",
]
