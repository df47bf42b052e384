import asyncio
import os
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from app.checks.network import Dialer, explain_network
from app.checks.tls import MAX_FILE, AuthorityError, TrustStore
from app.health import Reason
from tests.hanging_file import hanging
from tests.private_ca import PrivateCA
from tests.replacing import REPLACING, Replacing


HOST = "localhost"


def handshake(client: ssl.SSLContext, server: ssl.SSLContext) -> None:
    """Shake hands in memory.

    Raises:
        ssl.SSLError: one of the two refuses the other.

    """
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (
        client.wrap_bio(down, up, server_hostname=HOST),
        server.wrap_bio(up, down, server_side=True),
    )
    finished = set[int]()
    while len(finished) < len(ends):
        for place, end in enumerate(ends):
            try:
                end.do_handshake()
                finished.add(place)
            except ssl.SSLWantReadError:
                pass


def accepts(client: ssl.SSLContext, ca: PrivateCA, folder: Path) -> bool:
    """Return whether a client accepts a server whose certificate a CA has issued."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(ca.issue(folder / "server.pem", HOST))
    try:
        handshake(client, server)
    except ssl.SSLCertVerificationError:
        return False
    return True


@pytest.fixture(name="folder")
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a directory of CAs, the only place where OpenSSL looks for them."""
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.setenv("SSL_CERT_DIR", f"{tmp_path}/gone::{folder}")
    (tmp_path / "bundle.pem").write_bytes(trustme.CA().cert_pem.bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "bundle.pem"))
    return folder


async def test_a_context_is_kept_while_nothing_changes(tmp_path: Path, folder: Path) -> None:
    """To read the CAs of the system at each connection would take tens of milliseconds."""
    file, ca = tmp_path / "ca.pem", PrivateCA()
    for written in (file, folder / ca.hashed):
        written.write_bytes(ca.pem)
    for trust in (TrustStore(str(file)), TrustStore(), TrustStore(verify=False)):
        context = await trust.context()
        assert await trust.context() is context
        assert accepts(context, ca, tmp_path)
        assert await trust.context() is context


@pytest.mark.parametrize("variable", [False, True])
@pytest.mark.parametrize("replace", REPLACING)
async def test_a_replaced_file_is_trusted_at_once(
    tmp_path: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    replace: Replacing,
    variable: bool,
) -> None:
    """And the CA that it held is not trusted any longer."""
    file, old, new = folder / "ca.pem", PrivateCA(), PrivateCA()
    if variable:
        monkeypatch.setenv("SSL_CERT_FILE", str(file))
    trust = TrustStore() if variable else TrustStore(str(file))
    file.write_bytes(b"")
    replace(file, old.pem)
    for trusted, other in ((old, new), (new, old)):
        replace(file, trusted.pem + b"\n" * (trusted is new))
        assert accepts(await trust.context(), trusted, tmp_path)
        assert not accepts(await trust.context(), other, tmp_path)


@pytest.mark.parametrize("replace", REPLACING)
async def test_a_replaced_entry_of_a_directory_is_trusted_at_once(
    tmp_path: Path, folder: Path, replace: Replacing
) -> None:
    """OpenSSL itself keeps what it has read from there."""
    old, new, trust = PrivateCA(), PrivateCA(), TrustStore()
    file = folder / old.hashed
    assert not accepts(await trust.context(), old, tmp_path)
    file.write_bytes(b"")
    for trusted, other in ((old, new), (new, old)):
        replace(file, trusted.pem + b"\n" * (trusted is new))
        assert accepts(await trust.context(), trusted, tmp_path)
        assert not accepts(await trust.context(), other, tmp_path)
    file.unlink()
    assert not accepts(await trust.context(), new, tmp_path)


def nothing(file: Path) -> None:
    """Leave no file."""
    file.unlink(missing_ok=True)


UNFIT: dict[str, Callable[[Path], object]] = {
    "missing": nothing,
    "empty": Path.touch,
    "text": lambda file: file.write_text("nothing of the kind"),
    "broken": lambda file: file.write_bytes(PrivateCA().pem.replace(b"M", b"N", 1)),
    "key": lambda file: file.write_bytes(trustme.CA().private_key_pem.bytes()),
    "directory": Path.mkdir,
    "pipe": os.mkfifo,
    "link to itself": lambda file: file.symlink_to(file),
    "huge": lambda file: file.write_bytes(PrivateCA().pem + b"\n" * MAX_FILE),
}


@pytest.mark.parametrize("kind", UNFIT)
async def test_a_file_that_can_not_be_used_is_named(tmp_path: Path, kind: str) -> None:
    """As `tls`, with the remedy; it is used as soon as it can be."""
    file, ca = tmp_path / "ca.pem", PrivateCA()
    trust = TrustStore(str(file))
    UNFIT[kind](file)
    with pytest.raises(AuthorityError) as caught:
        await trust.context()
    assert explain_network(caught.value, Dialer(HOST)) is Reason.TLS
    assert str(file) in str(caught.value)
    assert "Put a PEM file there" in str(caught.value)
    if kind != "missing":
        file.rename(tmp_path / "away")
    file.write_bytes(ca.pem)
    assert accepts(await trust.context(), ca, tmp_path)


async def test_an_entry_that_would_hang_openssl_is_named(folder: Path) -> None:
    """It is opened in a handshake, on the event loop; a link that leads nowhere is passed over."""
    (folder / "01234567.0").symlink_to("gone")
    await TrustStore().context()
    os.mkfifo(folder / "01234567.1")
    with pytest.raises(AuthorityError, match=r"01234567\.1 is not a file"):
        await TrustStore().context()


async def test_no_ca_at_all_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine may have none; in a directory without hashed names OpenSSL finds none."""
    paths = ssl.get_default_verify_paths()._replace(cafile="")
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths)
    monkeypatch.delenv("SSL_CERT_FILE")
    (folder / "ca.pem").write_bytes(PrivateCA().pem)
    with pytest.raises(AuthorityError, match="openssl rehash"):
        await TrustStore().context()


async def test_a_share_that_hangs_blocks_no_event_loop(tmp_path: Path) -> None:
    """The attempt's deadline ends the wait."""
    file, ca = tmp_path / "ca.pem", PrivateCA()
    file.write_bytes(ca.pem)
    trust = TrustStore(str(file))
    with hanging(file), pytest.raises(TimeoutError):
        await asyncio.wait_for(trust.context(), 0.05)
    assert accepts(await trust.context(), ca, tmp_path)


async def test_the_policy_is_the_same_on_every_python(tmp_path: Path) -> None:
    """A root that lacks what RFC 5280 demands is trusted, and an intermediate CA without one."""
    root = trustme.CA()
    intermediate = root.create_child_ca()
    file = tmp_path / "ca.pem"
    intermediate.cert_pem.write_to_path(file)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    intermediate.issue_cert(HOST).configure_cert(server)
    context = await TrustStore(str(file)).context()
    handshake(context, server)
    partial = ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_TRUSTED_FIRST
    assert context.verify_flags == partial
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("verify", [False, True])
async def test_no_cipher_has_dhe(tmp_path: Path, verify: bool) -> None:
    """The server would choose the group: the arithmetic of 8192 bits blocks the event loop."""
    (tmp_path / "ca.pem").write_bytes(PrivateCA().pem)
    context = await TrustStore(str(tmp_path / "ca.pem"), verify=verify).context()
    exchanges = {cipher["kea"] for cipher in context.get_ciphers()}
    assert exchanges == {"kx-any", "kx-ecdhe"}  # any is what TLS 1.3 calls its own


async def test_without_verification_any_certificate_passes(tmp_path: Path) -> None:
    """Nothing is read from the disk."""
    context = await TrustStore(str(tmp_path / "gone"), verify=False).context()
    assert accepts(context, PrivateCA(), tmp_path)


async def test_the_name_is_verified_if_it_is_asked_for(tmp_path: Path) -> None:
    """`sslmode=verify-ca` does not."""
    file, ca = tmp_path / "ca.pem", PrivateCA()
    file.write_bytes(ca.pem)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(ca.issue(tmp_path / "server.pem", "other.test"))
    handshake(await TrustStore(str(file), check_hostname=False).context(), server)
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        handshake(await TrustStore(str(file)).context(), server)
