"""Makes the TLS certificate that a device shows, with the names of the recorded one."""

from __future__ import annotations

import functools
import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from simulator.device import Certificate

__all__ = ["server_context"]


@functools.cache
def server_context(names: Certificate) -> ssl.SSLContext:
    """A TLS server context whose throwaway certificate carries `names`.

    Only the names are true to the record; key, serial number and dates are made here.
    """
    # cryptography is imported when a device with TLS starts: the demo's --help needs none of it.
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name.from_rfc4514_string(names.subject))
        .issuer_name(x509.Name.from_rfc4514_string(names.issuer or names.subject))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365))
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + certificate.public_bytes(serialization.Encoding.PEM)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "device.pem"
        path.write_bytes(pem)
        context.load_cert_chain(path)
    return context
