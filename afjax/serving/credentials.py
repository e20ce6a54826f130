"""Content credentials of recordings: a signed statement inside the file that part of what it shows is generated.

Tools of newsrooms and browsers read C2PA (https://spec.c2pa.org, version 2). The package c2pa-python writes it without
a network. A certificate that viewers trust comes from an authority. Without one the server makes its own, for as long
as it runs: the file then proves that it was not changed since, and says how it was made, not who made it.
"""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import afjax
from afjax.errors import InputError

__all__ = ["Signer"]

KIND = "video/mp4"
SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
"""IPTC's word for a recording of somebody beside what a model made."""
CLAIM = {
    "claim_generator_info": [{"name": "afjax", "version": afjax.__version__}],
    "title": "Conversation with an avatar",
    "assertions": [
        {
            "label": "c2pa.actions.v2",
            "data": {"actions": [{"action": "c2pa.created", "digitalSourceType": SOURCE}]},
        }
    ],
}
VALID = timedelta(days=365)


class Signer:
    """Signs recordings in MP4: `signer(source, target)`."""

    def __init__(self, certificate: Path | None = None, key: Path | None = None):
        """Reads credentials from files in PEM, or makes its own without them.

        `certificate`: the certificate and those that vouch for it. Raises InputError where c2pa-python is missing, or
        the two are no certificate and key.
        """
        try:
            import c2pa
        except ImportError as error:
            raise InputError("the package c2pa-python is missing", do="pip install c2pa-python") from error
        self._c2pa = c2pa
        chain, secret = (_read(certificate), _read(key)) if certificate else _self_made()
        try:
            algorithm = _algorithm(chain, secret)
            information = c2pa.C2paSignerInfo(alg=algorithm, sign_cert=chain, private_key=secret, ta_url=None)
            self._signer = c2pa.Signer.from_info(information)
        except (c2pa.C2paError, ValueError, TypeError) as error:
            what = f"no certificate in PEM with its key ({str(error).splitlines()[0]})"
            raise InputError(what, certificate, "give --certificate CHAIN.pem and the --key of its first") from None

    @staticmethod
    def found() -> "Signer | None":
        """A signer with credentials of its own, or None where c2pa-python is missing."""
        try:
            return Signer()
        except InputError:
            return None

    def __call__(self, source: Path, target: Path) -> None:
        """Copies `source`, an MP4, to `target` and adds the statement.

        Raises InputError where it is no MP4, or has somebody's statement already, which would be lost.
        """
        try:
            with source.open("rb") as given, self._c2pa.Reader(KIND, given):
                raise InputError("this has content credentials already")
        except self._c2pa.C2paError:
            pass  # none
        try:
            with source.open("rb") as given, target.open("w+b") as made:
                self._c2pa.Builder(json.dumps(CLAIM)).sign(self._signer, KIND, given, made)
        except self._c2pa.C2paError as error:
            raise InputError(f"this can't be signed as a video ({str(error).splitlines()[0]})") from None


def _read(path: Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"can't be read ({error.strerror})", path) from None


def _algorithm(chain: bytes, secret: bytes) -> bytes:
    """C2PA's name of the signature that a private key makes.

    Raises ValueError for a kind of key without one, and for the key of another certificate.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = load_pem_private_key(secret, None)
    if key.public_key() != x509.load_pem_x509_certificates(chain)[0].public_key():
        raise ValueError("the key is not that of the first certificate")
    if isinstance(key, ec.EllipticCurvePrivateKey):
        name = {256: b"es256", 384: b"es384", 521: b"es512"}.get(key.key_size)
    else:
        kinds = {ed25519.Ed25519PrivateKey: b"ed25519", rsa.RSAPrivateKey: b"ps256"}
        name = next((name for kind, name in kinds.items() if isinstance(key, kind)), None)
    if name is None:
        raise ValueError("C2PA has no signature of that kind of key")
    return name


def _self_made() -> tuple[bytes, bytes]:
    """A certificate for signatures, followed by the one that vouches for it, and its key, in PEM."""
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    root, own = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    chain = (_certificate("recordings", own, root, False), _certificate("this server", root, root, True))
    plain = serialization.NoEncryption()
    return b"".join(chain), own.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)


def _certificate(subject: str, key, root, vouches: bool) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def name(text):
        return x509.Name(
            [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "afjax"), x509.NameAttribute(NameOID.COMMON_NAME, text)]
        )

    now, public = datetime.now(UTC), key.public_key()
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only",
         "decipher_only"), False,
    )  # fmt: skip
    made = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name("this server"))
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + VALID)
        .add_extension(x509.BasicConstraints(vouches, None), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key()), False)
        .add_extension(x509.KeyUsage(digital_signature=True, key_cert_sign=vouches, crl_sign=vouches, **usage), True)
    )
    if not vouches:
        made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), False)
    return made.sign(root, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
