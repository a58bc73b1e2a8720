"""Owns the workers' TLS: the context that the settings ask for, and what is said of files that cannot be used.

Runs in workers that speak TLS, before the app's import and again when it is served. Never asks for a password at a
terminal, as OpenSSL does by default.
"""

import ssl
from pathlib import Path

from .wire import WorkerConfig


class TlsError(Exception):
    """The settings or the files of TLS cannot be used; the message names the option, the file and the cause."""


def create_ssl_context(config: WorkerConfig) -> ssl.SSLContext | None:
    """Return the context of workers that speak TLS, None for plain ones. Raises TlsError."""
    if not config.ssl_certfile:
        if config.ssl_keyfile or config.ssl_ca_certs or config.ssl_cert_reqs:
            raise TlsError("--ssl-keyfile, --ssl-ca-certs and --ssl-cert-reqs need --ssl-certfile")
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _load_chain(context, config)
    _ask_for_client_certificates(context, config)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _load_chain(context: ssl.SSLContext, config: WorkerConfig) -> None:
    key_option, key_file = "--ssl-keyfile", config.ssl_keyfile
    if not key_file:
        key_option, key_file = "--ssl-certfile", config.ssl_certfile
    _require("--ssl-certfile", config.ssl_certfile, "-----BEGIN CERTIFICATE-----", "certificate")
    _require(key_option, key_file, "PRIVATE KEY-----", "private key")

    def password() -> str:
        if not config.ssl_keyfile_password:
            raise TlsError(f"{key_option} {key_file}: the key is encrypted; give --ssl-keyfile-password")
        return config.ssl_keyfile_password

    try:
        context.load_cert_chain(config.ssl_certfile, config.ssl_keyfile or None, password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            cause = f"{key_option} {key_file}: the key does not belong to the certificate {config.ssl_certfile}"
        elif config.ssl_keyfile_password and error.reason in ("BAD_DECRYPT", None):
            cause = f"{key_option} {key_file}: --ssl-keyfile-password does not open the key"
        else:
            cause = f"--ssl-certfile {config.ssl_certfile}, {key_option} {key_file}: {error}"
        raise TlsError(cause) from None


def _ask_for_client_certificates(context: ssl.SSLContext, config: WorkerConfig) -> None:
    if config.ssl_ca_certs:
        _require("--ssl-ca-certs", config.ssl_ca_certs, "-----BEGIN CERTIFICATE-----", "certificate")
        try:
            context.load_verify_locations(config.ssl_ca_certs)
        except ssl.SSLError as error:
            raise TlsError(f"--ssl-ca-certs {config.ssl_ca_certs}: {error}") from None
    elif config.ssl_cert_reqs:
        raise TlsError("--ssl-cert-reqs needs --ssl-ca-certs: the authorities whose certificates are accepted")
    context.verify_mode = ssl.VerifyMode(config.ssl_cert_reqs)


def _require(option: str, file: str, mark: str, what: str) -> None:
    """Raise TlsError unless `file` can be read and has a line with `mark`."""
    try:
        text = Path(file).read_text("latin-1")
    except OSError as error:
        raise TlsError(f"{option} {file}: {error.strerror}") from None
    if mark not in text:
        raise TlsError(f"{option} {file}: there is no {what} in PEM form in it")
