"""The signing key: an Ed25519 key as PEM, the user's own or one made once; it never lies inside a bundle."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from securesystemslib.signer import CryptoSigner, SSlibKey  # type: ignore[attr-defined]  # exported there, unmarked

from reports.errors import BundleError
from reports.files import clear_errors, write_atomically

__all__ = ["CryptoSigner", "SSlibKey", "as_pem", "default_path", "own_public_key", "public_key", "signer"]

ENVIRONMENT = "KUBEWORTHY_SIGNING_KEY"
MAKE_ONE = "make one with: openssl genpkey -algorithm ed25519 -out signing.pem"


def default_path() -> Path:
    """Where the key lies that is made once for a user: signing.pem, with signing.pub.pem beside it."""
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "kubeworthy" / "signing.pem"


def signer(path: Path | None = None) -> CryptoSigner:
    """The signer for `path`, else for $KUBEWORTHY_SIGNING_KEY, else for the user's own key, which is made if absent.

    Raises BundleError if the file cannot be read or holds no Ed25519 key in PKCS #8 PEM without a passphrase.
    """
    named = path or (Path(given) if (given := os.environ.get(ENVIRONMENT)) else None)
    if named is None:
        named = default_path()
        if not named.exists():
            _make(named)
    return CryptoSigner(_private_key(named))


def public_key(path: Path) -> SSlibKey:
    """The public key in a PEM file. Raises BundleError if it is something else."""
    with clear_errors(f"cannot read the public key {path}"):
        content = path.read_bytes()
    try:
        key = load_pem_public_key(content)
    except ValueError as error:
        raise BundleError(f"{path} holds no public key in PEM (-----BEGIN PUBLIC KEY-----)") from error
    if not isinstance(key, Ed25519PublicKey):
        raise BundleError(f"{path} holds a {type(key).__name__}; bundles are signed with Ed25519")
    return SSlibKey.from_crypto(key)


def own_public_key() -> SSlibKey | None:
    """The public half of the key that a run on this machine signs with, if there is one."""
    named = Path(os.environ.get(ENVIRONMENT) or default_path())
    return SSlibKey.from_crypto(_private_key(named).public_key()) if named.exists() else None


def as_pem(key: SSlibKey) -> str:
    """A public key as PEM, the form that openssl reads."""
    raw = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key.keyval["public"]))
    return raw.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _private_key(path: Path) -> Ed25519PrivateKey:
    with clear_errors(f"cannot read the signing key {path}"):
        content = path.read_bytes()
    try:
        key = load_pem_private_key(content, password=None)
    except (TypeError, ValueError) as error:
        raise BundleError(f"{path} holds no private key in PEM without a passphrase; {MAKE_ONE}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise BundleError(f"{path} holds a {type(key).__name__}, not an Ed25519 key; {MAKE_ONE}")
    return key


def _make(path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    content = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with clear_errors("cannot make a signing key"):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
        try:
            # a link, unlike a rename, never replaces the key that another run made in the meantime
            os.link(draft, path)
        except FileExistsError:
            return
        finally:
            draft.unlink()
        write_atomically(path.with_name("signing.pub.pem"), as_pem(SSlibKey.from_crypto(key.public_key())).encode())
