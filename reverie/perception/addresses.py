"""Which URLs may be opened, and with which of FFmpeg's protocols.

A URL can point into the network of the machine that opens it (server-side request forgery, CWE-918).
Addresses that are not public are refused unless `allow_private` says otherwise; redirects are refused
(`max_redirects=0`), because FFmpeg would follow them without asking again. The name is resolved here
and once more by FFmpeg: whoever needs protection against a name server that changes its answer in
between (DNS rebinding) must put the process into a network of its own.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from reverie.errors import SourceError

# What each scheme is allowed to open underneath itself.
PROTOCOLS = {
    "http": "http,tcp",
    "https": "https,tls,tcp",
    "rtsp": "rtsp,rtp,udp,tcp",
    "rtsps": "rtsps,rtsp,rtp,tls,udp,tcp",
    "rtmp": "rtmp,tcp",
    "rtmps": "rtmps,rtmp,tls,tcp",
    "udp": "udp",
    "tcp": "tcp",
    "srt": "srt,udp",
}
_SCHEME = re.compile(r"^([a-zA-Z][a-zA-Z0-9+.-]+)://")


class NetworkConfig(BaseModel):
    """What may be connected to, and for how long."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    allow_private: bool = Field(default=False, description="Open addresses of private networks and of this machine.")
    open_timeout_s: float = Field(default=5.0, gt=0, description="Longest wait for a connection and its first data.")
    read_timeout_s: float = Field(default=5.0, gt=0, description="Longest silence before a connection is given up.")
    probe_s: float = Field(default=1.0, gt=0, description="Media that is looked at to find the streams of a live URL.")
    retry_s: float = Field(default=0.5, gt=0, description="First wait before a lost stream is opened again.")
    max_retry_s: float = Field(
        default=30.0, gt=0, description="Longest such wait; it doubles, with jitter, up to this."
    )
    max_retries: int | None = Field(
        default=None, ge=0, description="Attempts in a row before the stream ends; None: no end."
    )


def scheme(spec: str) -> str:
    """The scheme of a URL in lower case, or "" if it is a path."""
    match = _SCHEME.match(spec)
    return match.group(1).lower() if match else ""


def shown(url: str) -> str:
    """The URL without its password: what may be printed and stored."""
    parts = urlsplit(url)
    if parts.username is None and parts.password is None:
        return url
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"***@{host}").geturl()


def check_address(url: str, config: NetworkConfig) -> None:
    """Raise SourceError for a scheme that is not supported or a host that must not be reached."""
    name = scheme(url)
    if name not in PROTOCOLS:
        raise SourceError(shown(url), f"{name}:// is not supported; use one of {', '.join(PROTOCOLS)}")
    try:
        host, port = urlsplit(url).hostname or "", urlsplit(url).port
    except ValueError as error:
        raise SourceError(shown(url), f"not a valid URL ({error})") from error
    if config.allow_private:
        return
    try:
        found = socket.getaddrinfo(host or "0.0.0.0", port, proto=socket.IPPROTO_TCP)
    except OSError as error:
        raise SourceError(shown(url), f"the host {host!r} cannot be found ({error}); check the name") from error
    for *_, address in found:
        if not ipaddress.ip_address(str(address[0]).partition("%")[0]).is_global:
            raise SourceError(
                shown(url),
                f"{host or 'it'} is an address of a private network ({address[0]}); "
                "set network.allow_private if you trust it",
            )
