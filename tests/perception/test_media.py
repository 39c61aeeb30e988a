"""Everything that must be refused, with the file, the cause and what to do."""

import os
import struct
import zlib
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from reverie.errors import SourceError
from reverie.perception.addresses import NetworkConfig, check_address, shown
from reverie.perception.sources import FileSource, SourceConfig, UrlSource, open_source
from tests.media import SIDE, every, numbered, write_media


def refused(path: Path | str, config: SourceConfig | None = None) -> str:
    with pytest.raises(SourceError) as caught:
        open_source(str(path), config).open()
    error = caught.value
    assert error.exit_code == 2
    assert Path(str(path)).name in str(error)
    assert "\n" not in str(error)
    return error.cause


def test_missing_file(tmp_path):
    assert "no such file" in refused(tmp_path / "nowhere.mp4")


def test_empty_file(tmp_path):
    (tmp_path / "empty.mp4").touch()
    assert "empty" in refused(tmp_path / "empty.mp4")


def test_text_named_mp4(tmp_path):
    (tmp_path / "letter.mp4").write_text("Dear reader,\n" * 50)
    assert "text file" in refused(tmp_path / "letter.mp4")


def test_noise_named_mkv(tmp_path):
    (tmp_path / "noise.mkv").write_bytes(np.random.default_rng(0).bytes(50_000))
    assert "not a media file" in refused(tmp_path / "noise.mkv")


def test_directory_without_pictures_and_pattern_without_files(tmp_path):
    assert "no pictures" in refused(tmp_path)
    assert "pattern" in refused(tmp_path / "img_%04d.png")


def test_no_permission(tmp_path):
    path = write_media(tmp_path / "mine.mp4", times_s=[0])
    path.chmod(0)
    as_root = os.geteuid() == 0
    if as_root:
        os.seteuid(65_534)  # root may read everything, nobody may not
    try:
        assert "permission" in refused(path)
    finally:
        if as_root:
            os.seteuid(0)


def playlists(target: Path) -> dict[str, str]:
    return {
        "concat": f"ffconcat version 1.0\nfile '{target.name}'\n",
        "concat after blank lines": f"\n\n  ffconcat version 1.0\nfile '{target.name}'\n",
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{target.name}\n#EXT-X-ENDLIST\n",
        "dash": f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011">{target.name}</MPD>',
        "sdp": "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nc=IN IP4 127.0.0.1\r\nm=video 5004 RTP/AVP 96\r\n",
        "imf": f"<?xml version='1.0'?><AssetMap><Path>{target.name}</Path></AssetMap>",
    }


@pytest.mark.parametrize("kind", ["concat", "concat after blank lines", "hls", "dash", "sdp", "imf"])
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "m3u8"])
def test_playlist_is_refused_whatever_its_name(tmp_path, kind, suffix):
    secret = write_media(tmp_path / "secret.ts", times_s=every(10, 1))
    disguised = tmp_path / f"holiday.{suffix}"
    disguised.write_text(playlists(secret)[kind])
    refused(disguised)


@pytest.mark.parametrize("kind", ["concat", "hls"])
def test_formats_are_a_second_wall_behind_the_look_at_the_head(tmp_path, kind):
    """FFmpeg alone would open the concat list; with our options it does not."""
    from reverie.perception.media import connect

    secret = write_media(tmp_path / "secret.ts", times_s=every(10, 1))
    disguised = tmp_path / "holiday.m3u8"
    disguised.write_text(playlists(secret)[kind])
    with av.open(str(disguised)) as opened:
        assert opened.streams.video  # the danger is real
    with pytest.raises(SourceError):
        connect(str(disguised), SourceConfig())


def png(width: int, height: int) -> bytes:
    """A PNG that claims a size, with hardly any data."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [9_000, 12_000, 30_000])
def test_giant_picture_is_refused_before_decoding(tmp_path, side):
    (tmp_path / "giant.png").write_bytes(png(side, side))
    cause = refused(tmp_path / "giant.png")
    assert "pixels" in cause


def test_giant_video_is_refused_before_decoding(tmp_path):
    """A real AVI whose header says 30,000 x 30,000; the size of Huffyuv stands nowhere else."""
    path = write_media(tmp_path / "giant.avi", times_s=[0, 0.1], vcodec="ffvhuff")
    data = bytearray(path.read_bytes())
    at = data.find(b"strf") + 8  # BITMAPINFOHEADER
    assert struct.unpack("<ii", data[at + 4 : at + 12]) == SIDE
    data[at + 4 : at + 12] = struct.pack("<ii", 30_000, 30_000)
    path.write_bytes(data)
    assert "pixels" in refused(path)


def test_giant_gif(tmp_path):
    path = tmp_path / "giant.gif"
    Image.fromarray(numbered(1)).save(path)
    data = bytearray(path.read_bytes())
    data[6:10] = struct.pack("<HH", 30_000, 30_000)
    path.write_bytes(data)
    assert "pixels" in refused(path)


def test_pixel_budget_is_the_users(tmp_path):
    path = write_media(tmp_path / "a.mp4", times_s=[0, 0.1])
    assert "192 x 144" in refused(path, SourceConfig(max_pixels=1_000))


def test_neither_picture_nor_sound(tmp_path):
    path = write_media(tmp_path / "data.mp4", times_s=[0, 0.1])
    data = path.read_bytes()
    handler = b"hdlr" + bytes(8)
    assert data.count(handler + b"vide") == 1
    data = data.replace(handler + b"vide", handler + b"meta").replace(b"avc1", b"zzzz")
    path.write_bytes(data)
    assert "neither video nor sound" in refused(path)


def test_mp4_without_its_index(tmp_path):
    path = write_media(tmp_path / "cut.mp4", times_s=every(10, 5))
    path.write_bytes(path.read_bytes()[:-2_000])
    assert "index" in refused(path)


def test_broken_picture(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(300))
    assert "picture" in refused(tmp_path / "a.jpg")


def test_cover_art_is_not_a_video(tmp_path):
    path = write_media(tmp_path / "song.flac", seconds=2, acodec="flac", rate_hz=44_100)
    cover = tmp_path / "cover.png"
    Image.fromarray(numbered(3)).save(cover)
    tagged = tmp_path / "tagged.mp3"
    with av.open(str(path)) as source, av.open(str(tagged), "w", options={"id3v2_version": "3"}) as container:
        sound = container.add_stream("libmp3lame", rate=44_100)
        picture = container.add_stream("png")
        picture.width, picture.height, picture.pix_fmt = 192, 144, "rgb24"
        picture.disposition = av.stream.Disposition.attached_pic
        frames = list(source.decode(audio=0))
        for packet in picture.encode(av.VideoFrame.from_image(Image.open(cover))):
            container.mux(packet)
        resampler = av.AudioResampler(format="s16p", layout="mono", rate=44_100, frame_size=1152)
        for frame in frames:
            for out in resampler.resample(frame):
                container.mux(sound.encode(out))
        container.mux(sound.encode())
    with av.open(str(tagged)) as opened:
        assert opened.streams.video
    start = FileSource(tagged).open()
    assert (start.has_video, start.has_audio) == (False, True)


def test_file_whose_name_looks_like_a_protocol(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_media(tmp_path / "a.mp4", times_s=[0, 0.1])
    (tmp_path / "a.mp4").rename("concat:a.mp4")
    assert FileSource("concat:a.mp4").open().has_video


def test_empty_name():
    with pytest.raises(SourceError):
        open_source("")


def test_something_else_is_no_source():
    with pytest.raises(SourceError, match="path, a URL, or an iterable"):
        open_source(7)  # type: ignore[arg-type]


# --- addresses ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/a.mp4",
        "http://localhost:8000/a.mp4",
        "http://[::1]/a.mp4",
        "http://10.0.0.7/a.mp4",
        "http://169.254.169.254/latest/meta-data",
        "rtsp://192.168.1.20/stream",
        "udp://0.0.0.0:1234",
        "tcp://2130706433:80",  # 127.0.0.1 as one number
        "http://[::ffff:127.0.0.1]/a.mp4",
        "udp://@:1234",
    ],
)
def test_private_addresses_need_leave(url):
    with pytest.raises(SourceError, match="allow_private"):
        UrlSource(url).open()
    check_address(url, NetworkConfig(allow_private=True))


@pytest.mark.parametrize("url", ["ftp://example.org/a.mp4", "concat://a", "data://x", "hls+http://x/y", "gopher://x"])
def test_other_schemes_are_refused(url):
    with pytest.raises(SourceError, match="not supported"):
        open_source(url).open()


def test_passwords_are_not_shown():
    assert shown("rtsp://me:secret@cam.example/1?a=b") == "rtsp://***@cam.example/1?a=b"
    with pytest.raises(SourceError) as caught:
        UrlSource("rtsp://me:secret@127.0.0.1/1").open()
    assert "secret" not in str(caught.value)
    assert "secret" not in UrlSource("rtsp://me:secret@127.0.0.1/1").stream_id


def test_no_such_camera():
    with pytest.raises(SourceError, match="no camera"):
        open_source("camera:97").open()
