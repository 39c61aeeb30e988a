"""Opening a container safely: what it is, what is in it, and every reason to refuse it.

Formats are named one by one. FFmpeg chooses a demuxer by content, and some of them (HLS, DASH,
concat, SDP) open further files and addresses that the content names: a playlist called `holiday.mp4`
would read another file of this machine. With the list, and the protocols of the URL's own scheme, it
is refused. Sizes are checked before anything is decoded.

Known limit: FFmpeg 8.1.2 (PyAV 18.1) has CVE-2026-107697 in its HLS demuxer, which is never opened here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reverie.errors import SourceError
from reverie.perception.addresses import PROTOCOLS, scheme, shown
from reverie.perception.source_config import SourceConfig
from reverie.perception.timeline import to_ns
from reverie.types import was_imagined

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from av.video.stream import VideoStream

# Demuxers that read one file and nothing else.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,mpegts,mpeg,mpegvideo,ogg,asf,gif,apng,wav,w64,aiff,au,caf,"
    "flac,mp3,aac,ac3,eac3,amr,h264,hevc,m4v,av1,obu,ivf,mjpeg,mpjpeg,mxf,nut,dv,wtv,yuv4mpegpipe,y4m,wv,tta,ape"
)
# There the length is guessed from the bit rate or from the last time stamp, so it proves nothing.
_GUESSED_LENGTH = {"mp3", "aac", "ac3", "eac3", "mpegts", "mpeg", "mpegvideo", "h264", "hevc", "m4v", "gif", "mjpeg"}
_PLAYLISTS = (
    b"#EXTM3U",
    b"ffconcat",
    b"[playlist]",
    b"<MPD",
    b"<?xml",
    b"v=0\r",
    b"v=0\n",
    b"<smil",
    b"[InternetShort",
)
_MAX_STREAMS = 64
_MAX_LENGTH_S = 365 * 86_400
_EARLIEST = datetime(1980, 1, 1, tzinfo=UTC)  # cameras without a clock write 1904 or 1970
_SAMPLED_BYTES = 65_536


@dataclass(slots=True)
class Media:
    """An opened container and the streams of it that are read. Times are of the container, not of media."""

    uri: str
    container: InputContainer
    video: VideoStream | None
    audio: AudioStream | None
    zero_ns: int
    length_ns: int | None
    length_is_exact: bool
    wall_anchor_ns: int | None
    imagined: bool
    streams: list[VideoStream | AudioStream] = field(default_factory=list)

    def close(self) -> None:
        self.container.close()


def open_media(uri: str, config: SourceConfig, now_ns: int, options: dict[str, str] | None = None) -> Media:
    """Open and probe a file or URL; raise SourceError with the cause and what to do.

    Nothing is decoded beyond what FFmpeg needs to name the streams. `now_ns` is the wall clock: a
    creation time after it is not believed.
    """
    return examine(uri, connect(uri, config, options), config, now_ns)


def connect(
    uri: str, config: SourceConfig, options: dict[str, str] | None = None, format_name: str | None = None
) -> InputContainer:
    """FFmpeg's open with our lists of formats and protocols; errors become SourceError."""
    import av

    network = scheme(uri)
    allowed = {
        "format_whitelist": format_name or (FORMATS if network not in ("rtsp", "rtsps") else f"{FORMATS},rtsp,rtp,sdp"),
        "protocol_whitelist": PROTOCOLS[network] if network else "file",
        "max_streams": str(_MAX_STREAMS),
        "max_pixels": str(config.max_pixels),
        "threads": "1",
    }
    timeout = (config.network.open_timeout_s, config.network.read_timeout_s) if network else None
    # FFmpeg takes "name:" at the start of a path for a protocol
    target = uri if network or format_name else f"file:{uri}"
    try:
        return av.open(target, format=format_name, options={**(options or {}), **allowed}, timeout=timeout)
    except (av.FFmpegError, ValueError, OSError) as error:
        raise SourceError(shown(uri), _why_not_opened(uri, error)) from error


def examine(uri: str, container: InputContainer, config: SourceConfig, now_ns: int) -> Media:
    """Choose the streams and check them; closes the container if it is refused."""
    try:
        video, audio = _choose(uri, container)
        if video is not None:
            _check_size(uri, video.codec_context.width, video.codec_context.height, config.max_pixels)
            # a later change of size is refused by the decoder
            video.codec_context.options = {"max_pixels": str(config.max_pixels)}
    except SourceError:
        container.close()
        raise
    streams = [stream for stream in (video, audio) if stream is not None]
    starts = [to_ns(s.start_time, s.time_base) for s in streams if s.start_time is not None and s.time_base]
    length_ns = _length_ns(container, streams)
    return Media(
        uri=uri,
        container=container,
        video=video,
        audio=audio,
        streams=streams,
        zero_ns=min(starts, default=(container.start_time or 0) * 1000),
        length_ns=length_ns,
        length_is_exact=length_ns is not None and not _GUESSED_LENGTH & set(container.format.name.split(",")),
        wall_anchor_ns=_recorded_at(container, now_ns),
        imagined=was_imagined(container.metadata.get("comment", "")),
    )


def file_identity(path: Path) -> str:
    """A short hash of a file's size and of its first and last 64 KiB: the same file under any name."""
    size = path.stat().st_size
    digest = sha256(str(size).encode())
    with path.open("rb") as file:
        digest.update(file.read(_SAMPLED_BYTES))
        file.seek(max(0, size - _SAMPLED_BYTES))
        digest.update(file.read(_SAMPLED_BYTES))
    return digest.hexdigest()[:10]


def check_file(path: Path) -> None:
    """Raise SourceError for what is plainly not a media file, before FFmpeg sees it."""
    uri = str(path)
    try:
        if not path.exists():
            raise SourceError(uri, "there is no such file; check the path")
        if not path.is_file():
            raise SourceError(uri, "not a file; give a media file or a directory of pictures")
        with path.open("rb") as file:
            head = file.read(512)
    except PermissionError as error:
        raise SourceError(uri, "no permission to read it; change the permissions of the file") from error
    except OSError as error:
        raise SourceError(uri, f"it cannot be read ({error.strerror})") from error
    if not head:
        raise SourceError(uri, "the file is empty; record or copy it again")
    if head.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(_PLAYLISTS):
        raise SourceError(
            uri, "a playlist or description that names other files is refused; give the media file itself"
        )


def _why_not_opened(uri: str, error: Exception) -> str:
    """The cause in words; FFmpeg's own words are kept in brackets."""
    said = getattr(error, "strerror", None) or str(error)
    kind = type(error).__name__
    if scheme(uri):
        if kind == "TimeoutError" or "Immediate exit" in said or kind == "ExitError":
            return f"no answer in time ({said}); check that the stream is running"
        return f"the stream cannot be opened ({said}); check the address and that it is running, without redirects"
    if kind == "ArgumentError":
        return (
            "its format is not one of those that are allowed (a playlist or list of files?); give the media file itself"
        )
    try:
        with Path(uri).open("rb") as file:
            head = file.read(4096)
    except OSError:
        head = b""
    if head and not head.translate(None, bytes(range(32, 127)) + b"\r\n\t"):
        return "it is a text file, whatever its name says; give a video, sound or picture file"
    if head[4:8] == b"ftyp":
        return f"an MP4 or MOV file without its index ({said}); the recording was cut off: repair it or copy it again"
    return f"not a media file, or damaged ({said}); check that it plays elsewhere"


def _choose(uri: str, container: InputContainer) -> tuple[VideoStream | None, AudioStream | None]:
    """The default stream of each kind, else the largest picture and the first sound; no cover art."""
    from av.stream import Disposition

    usable: list[Any] = [s for s in container.streams if s.codec_context is not None and s.type in ("video", "audio")]
    pictures: list[Any] = [
        s
        for s in usable
        if s.type == "video" and not s.disposition & Disposition.attached_pic and s.codec_context.width > 0
    ]
    sounds: list[Any] = [s for s in usable if s.type == "audio" and s.codec_context.sample_rate > 0]
    if not sounds and any(s.type == "video" and not s.codec_context.width for s in usable):
        raise SourceError(shown(uri), "its pictures are damaged, or have more pixels than max_pixels allows")
    if not pictures and not sounds:
        found = ", ".join(sorted({s.type for s in container.streams})) or "nothing"
        raise SourceError(shown(uri), f"neither video nor sound that can be decoded is in it (found: {found})")
    video = max(
        pictures,
        key=lambda s: (bool(s.disposition & Disposition.default), s.codec_context.width * s.codec_context.height),
        default=None,
    )
    audio = max(sounds, key=lambda s: bool(s.disposition & Disposition.default), default=None)
    return video, audio


def _check_size(uri: str, width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise SourceError(
            shown(uri),
            f"pictures of {width} x {height} pixels are more than the {max_pixels} allowed; "
            "scale it down, or raise max_pixels if there is memory for it",
        )


def _length_ns(container: InputContainer, streams: list[Any]) -> int | None:
    """How much media there is from the earliest start, as far as the container says; absurd values are not believed."""
    ends = [to_ns((s.start_time or 0) + s.duration, s.time_base) for s in streams if s.duration and s.time_base]
    first_ns = min((to_ns(s.start_time or 0, s.time_base) for s in streams if s.time_base), default=0)
    if len(ends) == len(streams):
        length_ns = max(ends) - first_ns
    else:
        length_ns = (container.duration or 0) * 1000
        if {"matroska", "flv"} & set(container.format.name.split(",")):
            length_ns -= first_ns  # their headers hold the last time stamp
    return length_ns if 0 < length_ns <= _MAX_LENGTH_S * 10**9 else None


def _recorded_at(container: InputContainer, now_ns: int) -> int | None:
    """Unix time of the recording, from its own metadata. The time of the file says when it was copied: not used."""
    for key in ("com.apple.quicktime.creationdate", "creation_time", "date"):
        text = container.metadata.get(key, "")
        if len(text) < len("2020-01-01T00:00:00"):
            continue  # a year or a day alone is no anchor
        try:
            when = datetime.fromisoformat(text)
        except ValueError:
            continue
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        stamp_ns = int(Fraction(str(when.timestamp())) * 10**9)
        if when >= _EARLIEST and stamp_ns <= now_ns:
            return stamp_ns
    return None
