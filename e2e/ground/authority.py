"""A certificate authority of our own, so that TLS is verified everywhere, by real certificates.

Each control plane has one; the fault proxy takes its certificate from the same one, so that a
kubeconfig stays valid when only its address changes. The work is done by the openssl program.
"""

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path

HOSTS = (
    "IP:127.0.0.1",
    "IP:10.0.0.1",
    "DNS:localhost",
    "DNS:kubernetes",
    "DNS:kubernetes.default",
    "DNS:kubernetes.default.svc",
)
CURVE = "prime256v1"
CA_EXTENSIONS = """\
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
"""
SERVER_EXTENSIONS = """\
basicConstraints = critical, CA:FALSE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A server's certificate and its key, as PEM files."""

    chain: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """For a server that presents this certificate."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.chain, self.key)
        return context


class Authority:
    """Makes certificates in `folder`; `certificate` is what clients trust."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.certificate = folder / "ca.crt"
        self._key = folder / "ca.key"
        folder.mkdir(parents=True, exist_ok=True)
        if not self.certificate.exists():
            self._make("ca", CA_EXTENSIONS, days=2)

    def context(self) -> ssl.SSLContext:
        """For a client that trusts this authority and nobody else."""
        return ssl.create_default_context(cafile=self.certificate)

    def issue(self, name: str, hosts: tuple[str, ...] = HOSTS, *, days: int = 1) -> Certificate:
        """A server certificate for `hosts` (`IP:…` or `DNS:…`), valid for `days`."""
        extensions = f"{SERVER_EXTENSIONS}subjectAltName = {','.join(hosts)}\n"
        return self._make(name, extensions, "-CA", self.certificate, "-CAkey", self._key, days=days)

    def _make(self, name: str, extensions: str, *signer: str | Path, days: int) -> Certificate:
        made = Certificate(chain=self.folder / f"{name}.crt", key=self.folder / f"{name}.key")
        config = self.folder / f"{name}.cnf"
        # A configuration of our own: the machine's might add extensions that contradict these.
        config.write_text(f"[req]\ndistinguished_name = dn\n[dn]\n[extensions]\n{extensions}")
        _openssl(
            *("req", "-x509", "-config", config, "-extensions", "extensions"),
            *("-newkey", "ec", "-pkeyopt", f"ec_paramgen_curve:{CURVE}", "-nodes"),
            *("-subj", f"/CN=kulta-ground-{name}", "-days", str(days)),
            *("-keyout", made.key, "-out", made.chain, *signer),
        )
        return made


def signing_pair(folder: Path) -> tuple[Path, Path]:
    """A key pair (private, public) for ServiceAccount tokens."""
    private, public = folder / "tokens.key", folder / "tokens.pub"
    _openssl("ecparam", "-name", CURVE, "-genkey", "-noout", "-out", private)
    _openssl("ec", "-in", private, "-pubout", "-out", public)
    return private, public


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True, text=True)
