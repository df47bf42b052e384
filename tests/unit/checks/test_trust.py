import asyncio
import contextlib
import os
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from app.checks.network import Dialer, explain_network
from app.checks.tls import MAX_FILE, CertificateFileError, TlsStream, TrustStore
from app.health import Reason
from tests.support.hanging_file import hanging
from tests.support.private_ca import PrivateCA
from tests.support.replacing import REPLACING, Replacing


HOST = "localhost"


def handshake(client: ssl.SSLContext, server: ssl.SSLContext) -> None:
    """Do a TLS handshake in memory.

    Raises:
        ssl.SSLError: one side refuses the other.
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
    """Return whether a client accepts a server with a certificate of this CA."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(ca.issue(folder / "server.pem", HOST))
    try:
        handshake(client, server)
    except ssl.SSLCertVerificationError:
        return False
    return True


@pytest.fixture(name="folder")
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Create the directory of CAs in which OpenSSL looks."""
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.setenv("SSL_CERT_DIR", f"{tmp_path}/gone::{folder}")
    (tmp_path / "bundle.pem").write_bytes(trustme.CA().cert_pem.bytes())
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "bundle.pem"))
    return folder


async def test_the_context_is_cached_while_no_file_changes(tmp_path: Path, folder: Path) -> None:
    """Loading the system's CAs takes tens of milliseconds."""
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
    """The CA in the old file is no longer trusted."""
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
    """OpenSSL itself caches the entries that it has read."""
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


def remove(file: Path) -> None:
    """Remove the file."""
    file.unlink(missing_ok=True)


UNUSABLE: dict[str, Callable[[Path], object]] = {
    "missing": remove,
    "empty": Path.touch,
    "text": lambda file: file.write_text("not a certificate"),
    "broken": lambda file: file.write_bytes(PrivateCA().pem.replace(b"M", b"N", 1)),
    "key": lambda file: file.write_bytes(trustme.CA().private_key_pem.bytes()),
    "directory": Path.mkdir,
    "pipe": os.mkfifo,
    "link to itself": lambda file: file.symlink_to(file),
    "huge": lambda file: file.write_bytes(PrivateCA().pem + b"\n" * MAX_FILE),
}


# What the error says. For every other file it says that the content is not what it should be.
PROBLEMS = {
    "missing": "can't be read (No such file or directory)",
    "directory": "is not a file",
    "pipe": "is not a file",
    "link to itself": "can't be read (Too many levels of symbolic links)",
    "huge": f"has more than {MAX_FILE} bytes",
}
REMEDY = "Put a PEM file there, or correct its path."


@pytest.mark.parametrize("kind", UNUSABLE)
async def test_the_error_names_an_unusable_file(tmp_path: Path, kind: str) -> None:
    """The reason is `tls`, with a remedy. A repaired file is used at once."""
    file, ca = tmp_path / "ca.pem", PrivateCA()
    trust = TrustStore(str(file))
    UNUSABLE[kind](file)
    with pytest.raises(CertificateFileError) as caught:
        await trust.context()
    assert explain_network(caught.value, Dialer(HOST)) is Reason.TLS
    problem = PROBLEMS.get(kind, "is not PEM")
    assert str(caught.value) == f"CA file {file} {problem}. {REMEDY}"
    if kind != "missing":
        file.rename(tmp_path / "away")
    file.write_bytes(ca.pem)
    assert accepts(await trust.context(), ca, tmp_path)


async def test_the_error_names_an_entry_that_would_hang_openssl(folder: Path) -> None:
    """OpenSSL would open it in a handshake. It skips a dangling link."""
    (folder / "01234567.0").symlink_to("gone")
    await TrustStore().context()
    os.mkfifo(folder / "01234567.1")
    with pytest.raises(CertificateFileError, match=r"01234567\.1 is not a file"):
        await TrustStore().context()


async def test_the_error_explains_that_there_is_no_ca(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenSSL finds none in a directory without hashed names."""
    paths = ssl.get_default_verify_paths()._replace(cafile="")
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths)
    monkeypatch.delenv("SSL_CERT_FILE")
    (folder / "ca.pem").write_bytes(PrivateCA().pem)
    with pytest.raises(CertificateFileError, match="openssl rehash"):
        await TrustStore().context()


async def test_a_hung_share_does_not_block_the_event_loop(tmp_path: Path) -> None:
    """The attempt's deadline ends the wait."""
    file, ca = tmp_path / "ca.pem", PrivateCA()
    file.write_bytes(ca.pem)
    trust = TrustStore(str(file))
    with hanging(file), pytest.raises(TimeoutError):
        await asyncio.wait_for(trust.context(), 0.05)
    assert accepts(await trust.context(), ca, tmp_path)


async def test_verification_is_the_same_on_every_python(tmp_path: Path) -> None:
    """An intermediate CA needs no root, and a root may lack what RFC 5280 demands."""
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
    """The server could choose a group of 8192 bits, which is slow."""
    (tmp_path / "ca.pem").write_bytes(PrivateCA().pem)
    context = await TrustStore(str(tmp_path / "ca.pem"), verify=verify).context()
    exchanges = {cipher["kea"] for cipher in context.get_ciphers()}
    assert exchanges == {"kx-any", "kx-ecdhe"}  # kx-any stands for TLS 1.3


async def test_without_verification_any_certificate_passes(tmp_path: Path) -> None:
    """No file is read."""
    context = await TrustStore(str(tmp_path / "gone"), verify=False).context()
    assert accepts(context, PrivateCA(), tmp_path)


async def test_the_host_name_is_verified_unless_it_is_switched_off(tmp_path: Path) -> None:
    """`sslmode=verify-ca` switches it off."""
    file, ca = tmp_path / "ca.pem", PrivateCA()
    file.write_bytes(ca.pem)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(ca.issue(tmp_path / "server.pem", "other.test"))
    handshake(await TrustStore(str(file), check_hostname=False).context(), server)
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        handshake(await TrustStore(str(file)).context(), server)


@pytest.mark.parametrize(("zone", "is_valid"), [("%eth0", True), ("9%eth0", False)])
async def test_a_zone_belongs_to_no_name(zone: str, is_valid: bool) -> None:
    """A certificate names the address without it."""
    with contextlib.nullcontext() if is_valid else pytest.raises(ssl.SSLCertVerificationError):
        assert await verify("fe80::1", f"fe80::1{zone}") is None


@pytest.mark.parametrize(("name", "is_valid"), [("a.test.", True), ("b.test.", False)])
async def test_the_dot_at_the_end_belongs_to_no_name(name: str, is_valid: bool) -> None:
    """It makes a name absolute for the resolver. Neither certificates nor servers know it."""
    with contextlib.nullcontext() if is_valid else pytest.raises(ssl.SSLCertVerificationError):
        assert await verify("a.test", name) == "a.test"


async def verify(certified: str, host: str) -> str | None:
    """Verify the certificate of a server, and return the name that the server gets."""
    authority, server = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(certified).configure_cert(server)
    names = list[str | None]()
    server.sni_callback = lambda _connection, name, _context: names.append(name)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    arriving, leaving = ssl.MemoryBIO(), ssl.MemoryBIO()
    answering = server.wrap_bio(arriving, leaving, server_side=True)
    stream = TlsStream(client, host)
    assert not await stream.handshake()
    arriving.write(stream.outgoing.read())
    with contextlib.suppress(ssl.SSLWantReadError):
        answering.do_handshake()
    stream.feed(bytearray(leaving.read()), 100)
    assert await stream.handshake()
    return names[0]


@pytest.fixture(name="authority")
def _authority() -> trustme.CA:
    """Create the CA of the client certificates."""
    return trustme.CA()


def serving_clients_of(authority: trustme.CA) -> ssl.SSLContext:
    """Return the context of a server that requires a certificate of this CA."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert(HOST).configure_cert(server)
    authority.configure_trust(server)
    server.verify_mode = ssl.CERT_REQUIRED
    return server


@pytest.mark.parametrize("in_one_file", [False, True])
@pytest.mark.parametrize("replace", REPLACING)
async def test_a_replaced_client_certificate_is_used_at_once(
    tmp_path: Path, authority: trustme.CA, replace: Replacing, in_one_file: bool
) -> None:
    """It may be in the file of its key, and may change together with it."""
    own, other = authority.issue_cert("client"), trustme.CA().issue_cert("client")
    pem, key = tmp_path / "certificate" / "pem", tmp_path / "key" / "pem"
    pem.parent.mkdir()
    key.parent.mkdir()
    trust = TrustStore(None, str(pem), None if in_one_file else str(key), verify=False)
    for number, (leaf, accepted) in enumerate([(own, True), (other, False), (own, True)]):
        certificate = leaf.cert_chain_pems[0].bytes() + b"\n" * number
        if in_one_file:
            replace(pem, certificate + leaf.private_key_pem.bytes())
        else:
            replace(pem, certificate)
            replace(key, leaf.private_key_pem.bytes() + b"\n" * number)
        context = await trust.context()
        assert await trust.context() is context
        if accepted:
            handshake(context, serving_clients_of(authority))
        else:
            with pytest.raises(ssl.SSLError):
                handshake(context, serving_clients_of(authority))


def test_a_key_that_is_replaced_alone_is_read_again(tmp_path: Path) -> None:
    """A certificate and its key may be two files, which are replaced one after the other."""
    pem, key = tmp_path / "pem", tmp_path / "key"
    leaf = trustme.CA().issue_cert("client")
    leaf.cert_chain_pems[0].write_to_path(pem)
    leaf.private_key_pem.write_to_path(key)
    trust = TrustStore(None, str(pem), str(key), verify=False)
    known = trust.load()
    assert trust.load() is known
    key.write_bytes(key.read_bytes() + b"\n")
    assert trust.load() is not known


@pytest.mark.parametrize("kind", UNUSABLE)
@pytest.mark.parametrize("wrong", ["pem", "key"])
async def test_the_error_names_an_unusable_client_file(
    tmp_path: Path, authority: trustme.CA, kind: str, wrong: str
) -> None:
    """An endless, huge or missing key is one too."""
    leaf = authority.issue_cert("client")
    pem, key = tmp_path / "pem", tmp_path / "key"
    leaf.cert_chain_pems[0].write_to_path(pem)
    leaf.private_key_pem.write_to_path(key)
    (tmp_path / wrong).unlink()
    UNUSABLE[kind](tmp_path / wrong)
    with pytest.raises(CertificateFileError) as caught:
        await TrustStore(None, str(pem), str(key), verify=False).context()
    assert explain_network(caught.value, Dialer(HOST)) is Reason.TLS
    title = {"pem": "client certificate", "key": "client key"}[wrong]
    expected = f"client certificate {pem} and {key} must hold a certificate and its "
    if kind in PROBLEMS:
        expected = f"{title} {tmp_path / wrong} {PROBLEMS[kind]}. {REMEDY}"
    assert str(caught.value).startswith(expected)
    assert str(caught.value).endswith(REMEDY)


async def test_a_key_of_another_certificate_is_an_error(
    tmp_path: Path, authority: trustme.CA
) -> None:
    pem, key = tmp_path / "pem", tmp_path / "key"
    authority.issue_cert("client").cert_chain_pems[0].write_to_path(pem)
    authority.issue_cert("client").private_key_pem.write_to_path(key)
    with pytest.raises(CertificateFileError, match="its own key"):
        await TrustStore(None, str(pem), str(key), verify=False).context()


async def test_an_encrypted_key_is_an_error(tmp_path: Path, authority: trustme.CA) -> None:
    """OpenSSL does not ask for its password."""
    leaf = authority.issue_cert("client")
    key = load_pem_private_key(leaf.private_key_pem.bytes(), None)
    encryption = BestAvailableEncryption(b"a word")
    encrypted = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    pem = tmp_path / "pem"
    pem.write_bytes(leaf.cert_chain_pems[0].bytes() + encrypted)
    with pytest.raises(CertificateFileError, match="without a password"):
        await TrustStore(None, str(pem), verify=False).context()
