"""What is wrong with a provider that does not answer, and what to do about it."""

from __future__ import annotations

import errno
import socket
import ssl
from typing import Final, NamedTuple

from trunkline.errors import GatewayError
from trunkline.v1 import errors_pb2


class Diagnosis(NamedTuple):
    """What is wrong, in a few words, and the remedy, in a sentence."""

    trouble: str
    remedy: str


_START: Final = {
    "ollama": "`ollama serve` starts it",
    "vllm": "`vllm serve MODEL` starts it",
    "lmstudio": "`lms server start` starts it",
}
"""How the servers that people run themselves are started, by the kind of the provider."""


def diagnose(error: GatewayError, name: str, kind: str = "", base_url: str = "") -> Diagnosis:
    """What the failure of the provider `name` comes from. `base_url` is empty where its kind decides it."""
    setting = f"`providers.{name}.base_url`"
    at = f" ({base_url})" if base_url else ""
    for cause in causes(error):
        match cause:
            case socket.gaierror():
                return Diagnosis(
                    "its name cannot be resolved",
                    f"Check the host in {setting}{at}, and that this machine can resolve names.",
                )
            case ConnectionRefusedError():
                start = _START.get(kind, "start the server")
                return Diagnosis("nothing listens there", f"If it is yours, {start}; else check {setting}{at}.")
            case ssl.SSLCertVerificationError():
                return Diagnosis(
                    f"its TLS certificate is not trusted ({cause.verify_message})",
                    f"Check the host in {setting}{at}; an authority of your own goes into SSL_CERT_FILE.",
                )
            case ssl.SSLError():
                return Diagnosis(
                    "the TLS handshake failed", f"Check that {setting}{at} begins with the right one of http and https."
                )
            case OSError(errno=errno.ENETUNREACH | errno.EHOSTUNREACH):
                return Diagnosis("no route leads there", "Check the network of this machine and its firewall.")
    if error.provider_status is not None:
        diagnosis = _by_status(error.provider_status, name, setting, at)
        if diagnosis is not None:
            return diagnosis
    match error.reason:
        case errors_pb2.ERROR_REASON_PROVIDER_TIMEOUT:
            return Diagnosis(
                "no answer in time",
                f"Check {setting}{at}, and that no firewall stands between; a busy server may need a longer --timeout.",
            )
        case errors_pb2.ERROR_REASON_PROVIDER_UNAUTHENTICATED:
            return _bad_key(name)
        case _:
            return Diagnosis(error.message, f"Check that {setting}{at} names an API that Trunkline's kind fits.")


def _by_status(status: int, name: str, setting: str, at: str) -> Diagnosis | None:
    match status:
        case 401:
            return _bad_key(name)
        case 403:
            return Diagnosis(
                "the key has no permission (403)",
                f"Give `providers.{name}.api_key` a key that may list models, or widen its rights at the provider.",
            )
        case 404:
            return Diagnosis(
                "there is no such path (404)", f"Check the path in {setting}{at}: for most servers it ends in `/v1`."
            )
        case 429:
            return Diagnosis(
                "its limits are used up (429)", "The key is right: wait, or raise the limit at the provider."
            )
        case status if status >= 500:
            return Diagnosis(
                f"it fails ({status})", "It is the provider's fault: try later, and look at its status page."
            )
        case _:
            return None


def _bad_key(name: str) -> Diagnosis:
    return Diagnosis("the key is missing or wrong (401)", f"Put the right key into `providers.{name}.api_key`.")


def causes(error: BaseException) -> list[BaseException]:
    """What `error` came from, the first cause first: libraries wrap it in errors of their own that tell less."""
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None:
        causes.insert(0, cause)
        cause = cause.__cause__ or cause.__context__
    return causes
