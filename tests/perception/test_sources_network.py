"""Live streams and files over this machine's loopback: time-outs, lost connections, redirects."""

import http.server
import pickle
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest

from reverie.clock import ManualClock, SystemClock
from reverie.errors import SourceError
from reverie.perception.sources import (
    FileSource,
    NetworkConfig,
    SamplingConfig,
    SourceConfig,
    UrlSource,
    open_source,
)
from reverie.types import NS_PER_S, AudioChunk, EndOfStream, Frame, Gap, ns
from tests.media import (
    check_order,
    drained,
    every,
    heard,
    number_of,
    of,
    pull_all,
    same_items,
    write_media,
)

QUICK = NetworkConfig(allow_private=True, open_timeout_s=5, read_timeout_s=2, retry_s=0.01, max_retry_s=0.02)
LIVE = SourceConfig(sampling=SamplingConfig(fps=10, gate=False), network=QUICK, live_pictures=1_000, live_sound_s=100)


@contextmanager
def served(*connections: bytes) -> Iterator[int]:
    """A TCP server on loopback that gives each connection its bytes and hangs up; then it refuses."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for data in connections:
            peer, _ = listener.accept()
            with peer:
                peer.sendall(data)
        listener.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    listener.close()
    thread.join(5)


@pytest.fixture
def transport_stream(tmp_path) -> bytes:
    return write_media(tmp_path / "live.ts", times_s=every(10, 4), seconds=4).read_bytes()


def test_live_stream_is_read_and_ends_when_retries_are_used_up(transport_stream):
    config = LIVE.model_copy(update={"network": QUICK.model_copy(update={"max_retries": 2})})
    with served(transport_stream) as port:
        source = UrlSource(f"tcp://127.0.0.1:{port}", config, rng=np.random.default_rng(0))
        start = source.open()
        items = drained(source, wanted_end=True)
        source.close()
    check_order(items)
    assert start.live
    assert start.wall_anchor_ns is not None
    numbers = [number_of(f.image) for f in of(Frame, items)]
    assert numbers == list(range(numbers[0], 40))
    assert numbers[0] <= 1
    assert len(heard(of(AudioChunk, items))) == pytest.approx(4 * 16_000, rel=0.05)
    assert not of(Gap, items)


def test_lost_stream_is_opened_again_with_a_gap_between(transport_stream):
    class Clock(ManualClock):
        """Two minutes pass with every wait."""

        def sleep(self, seconds: float) -> None:
            self.advance(120.0)

    config = LIVE.model_copy(update={"network": QUICK.model_copy(update={"max_retries": 1})})
    with served(transport_stream, transport_stream) as port:
        source = UrlSource(
            f"tcp://127.0.0.1:{port}", config, clock=Clock(wall_ns=NS_PER_S), rng=np.random.default_rng(0)
        )
        source.open()
        items = drained(source, wanted_end=True)
        source.close()
    check_order(items)
    (gap,) = of(Gap, items)
    assert gap.span.start_s == pytest.approx(4.0, abs=0.2)
    assert gap.span.end_s == pytest.approx(120.0, abs=0.5)
    assert "lost" in gap.reason
    after = [f for f in of(Frame, items) if f.pts_ns >= gap.span.end_ns]
    assert len(after) >= 38
    assert number_of(after[0].image) <= 1


def test_no_answer_is_an_error_within_the_timeout():
    network = NetworkConfig(allow_private=True, open_timeout_s=0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        source = UrlSource(f"tcp://127.0.0.1:{silent.getsockname()[1]}", SourceConfig(network=network))
        started = time.monotonic()
        with pytest.raises(SourceError, match="no answer"):
            source.open()
        assert time.monotonic() - started < 5
        source.close()


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(SourceError, match="cannot be opened"):
        UrlSource(f"tcp://127.0.0.1:{port}", LIVE).open()


def test_stream_that_stalls_can_be_closed(transport_stream):
    """The server sends half and then keeps silent."""
    listener = socket.create_server(("127.0.0.1", 0))
    peers = []

    def serve() -> None:
        peer, _ = listener.accept()
        peers.append(peer)
        peer.sendall(transport_stream)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    network = QUICK.model_copy(update={"read_timeout_s": 0.3, "max_retries": 0})
    source = UrlSource(f"tcp://127.0.0.1:{listener.getsockname()[1]}", LIVE.model_copy(update={"network": network}))
    source.open()
    items = drained(source, wanted_end=True)
    source.close()
    listener.close()
    for peer in peers:
        peer.close()
    assert of(Frame, items)
    assert isinstance(items[-1], EndOfStream)
    assert not any(t.name.startswith("reverie-") for t in threading.enumerate())


def test_restored_live_stream_goes_on_at_the_time_that_it_is(transport_stream):
    config = LIVE.model_copy(update={"network": QUICK.model_copy(update={"max_retries": 0})})
    with served(transport_stream) as port:
        source = UrlSource(f"tcp://127.0.0.1:{port}", config, clock=ManualClock(wall_ns=0))
        source.open()
        before: list = []
        while len(of(Frame, before)) < 10:
            before += source.pull()
        state = pickle.dumps(source.snapshot())
        source.close()
    with served(transport_stream) as port:
        again = UrlSource(
            f"tcp://127.0.0.1:{port}", config, stream_id=source.stream_id, clock=ManualClock(wall_ns=ns(60))
        )
        again.open()
        again.restore(pickle.loads(state))
        items = drained(again, wanted_end=True)
        again.close()
    check_order(items)
    (gap,) = of(Gap, items)
    assert of(Frame, before)[-1].pts_ns < gap.span.start_ns <= ns(4.2)
    assert gap.span.end_s == 60.0
    assert "restarted" in gap.reason
    assert of(Frame, items)[0].seq >= of(Frame, before)[-1].seq + 1
    first, last = of(Frame, items)[0], of(Frame, items)[-1]
    assert first.pts_ns >= ns(60) or first.pts_ns < gap.span.start_ns  # it had come, and waited for its sound
    assert last.pts_ns >= ns(60)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args) -> None:
        pass

    def do_GET(self) -> None:
        if self.path.startswith("/moved"):
            self.send_response(302)
            self.send_header("Location", "/clip.mp4")
            self.end_headers()
            return
        super().do_GET()


@pytest.fixture
def web(tmp_path) -> Iterator[str]:
    write_media(tmp_path / "clip.mp4", times_s=every(10, 5), seconds=5, options={"movflags": "faststart"})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(tmp_path)))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_file_on_a_web_server_is_read_as_a_file(web, tmp_path):
    source = open_source(f"{web}/clip.mp4", SourceConfig(network=QUICK))
    start = source.open()
    items = pull_all(source)
    source.close()
    assert not start.live
    local = FileSource(tmp_path / "clip.mp4", stream_id=start.stream_id)
    local.open()
    same_items(pull_all(local), items)


def test_redirect_is_refused(web):
    with pytest.raises(SourceError, match="redirects"):
        open_source(f"{web}/moved", SourceConfig(network=QUICK)).open()


def test_missing_page_is_an_error(web):
    with pytest.raises(SourceError):
        open_source(f"{web}/nothing.mp4", SourceConfig(network=QUICK)).open()


def test_backoff_doubles_with_jitter_and_is_bounded():
    waits: list[float] = []

    class Clock(SystemClock):
        def sleep(self, seconds: float) -> None:
            waits.append(seconds)

    network = NetworkConfig(allow_private=True, retry_s=1.0, max_retry_s=8.0, max_retries=6, open_timeout_s=1)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    source = UrlSource(
        f"tcp://127.0.0.1:{port}", SourceConfig(network=network), clock=Clock(), rng=np.random.default_rng(0)
    )
    assert source._reconnect(0) is None
    longest = 1 + 2 + 4 + 8 + 8 + 8
    assert longest / 2 <= sum(waits) <= longest
    assert max(waits) <= 0.25  # in short steps, so that it can be closed meanwhile
