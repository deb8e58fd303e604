"""Tests of vendor keys as field names."""

from __future__ import annotations

import pytest

from agent.names import kebab


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("DeviceSN", "device-sn"),
        ("MAC", "mac"),
        ("IPv4SubnetMask", "ipv4-subnet-mask"),
        ("IPv6MaskLen", "ipv6-mask-len"),
        ("DSPVersion", "dsp-version"),
        ("DetailOEMCode", "detail-oem-code"),
        ("SDKOverTLSPort", "sdk-over-tls-port"),
        ("SupportHCPlatform", "support-hc-platform"),
        ("UnLoginFuncMask", "un-login-func-mask"),
        ("DNS1", "dns1"),
        ("mac", "mac"),
    ],
)
def test_keys_become_kebab_case(key: str, name: str) -> None:
    """Each key is the field name that the vocabulary has for it."""
    assert kebab(key) == name
