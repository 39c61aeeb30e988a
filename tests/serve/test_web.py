"""The routes, in the whole application: gradio mounted, a real session behind it."""

import asyncio
import socket

import pytest
from fastapi.testclient import TestClient

from reverie.errors import UsageError
from reverie.serve.app import build, serve
from reverie.serve.web import POLICY
from tests.serve.conftest import SteppingClock, quick_session
from tests.serve.pictures import plain

SCRIPTS = ("text/javascript", "application/javascript")
OURS = "http://127.0.0.1:7860"


async def built(live):
    return build(live)


@pytest.fixture
def client(live):
    with TestClient(asyncio.run(built(live)), base_url=OURS) as client:
        yield client


@pytest.fixture(scope="module")
def idle(tmp_path_factory):
    """A client, and the session behind it, in which nothing is ever watched."""
    with (
        quick_session(tmp_path_factory.mktemp("idle"), SteppingClock()) as live,
        TestClient(asyncio.run(built(live)), base_url=OURS) as client,
    ):
        pictures = live.directory / "pictures"
        pictures.mkdir(parents=True)
        (live.directory / "memory.sqlite").write_text("hidden words")
        (live.directory.parent / "secret.jpg").write_text("hidden words")
        (pictures / "link.jpg").symlink_to(live.directory.parent / "secret.jpg")
        yield client, live


def opened(client, **wanted):
    return client.post("/live/feed", json={"now_ms": 0.0, "video": True, "audio": False} | wanted)


def test_the_page_and_its_assets_are_there_and_load_nothing_from_elsewhere(idle):
    client, _ = idle
    page = client.get("/")
    assert page.status_code == 200
    assert page.headers["content-security-policy"] == POLICY
    assert "'self'" in POLICY
    assert "http" not in POLICY.replace("http-equiv", "")
    assert client.get("/live/assets/capture.js").headers["content-type"].partition(";")[0] in SCRIPTS
    assert "AudioWorkletProcessor" in client.get("/live/assets/sound_tap.js").text


def test_a_camera_from_its_start_to_a_key_frame(client, live):
    answer = opened(client)
    assert answer.status_code == 200
    stream_id = answer.json()["stream_id"]
    assert answer.json()["pictures_per_s"] == 4
    for at_ms in (0, 700, 1400):
        assert client.post(f"/live/feed/{stream_id}/picture?at_ms={at_ms}", content=plain()).status_code == 204
    second = opened(client)
    assert (second.status_code, "finish it first" in second.json()["error"]) == (409, True)
    assert client.post(f"/live/feed/{stream_id}/end").status_code == 204
    live.wait(120)
    assert client.post(f"/live/feed/{stream_id}/picture?at_ms=2000", content=plain()).status_code == 409
    assert "# TYPE reverie_frames_encoded_total counter\nreverie_frames_encoded_total " in client.get("/metrics").text
    thumbnail = next(event.thumbnail for event in live.view().events)
    picture = client.get(f"/live/pictures/{thumbnail}")
    assert (picture.status_code, picture.headers["content-type"]) == (200, "image/jpeg")
    assert picture.content[:2] == b"\xff\xd8"


def test_what_cannot_be_is_refused_with_a_reason(client):
    assert "neither camera" in opened(client, video=False).json()["error"]
    assert opened(client, now_ms="soon").status_code == 400
    assert client.post("/live/feed", content=b"{}").status_code == 400
    assert client.post("/live/feed", content=b"not json").status_code == 400
    assert client.post("/live/feed", content=b"[1]").status_code == 400
    stream_id = opened(client).json()["stream_id"]
    broken = client.post(f"/live/feed/{stream_id}/picture?at_ms=1", content=b"GIF89a")
    assert (broken.status_code, "not a JPEG" in broken.json()["error"]) == (400, True)
    assert client.post(f"/live/feed/{stream_id}/picture?at_ms=nan", content=plain()).status_code == 400
    assert client.post(f"/live/feed/{stream_id}/picture", content=plain()).status_code == 422
    assert client.post(f"/live/feed/{stream_id}/picture?at_ms=1", content=bytes(9 << 20)).status_code == 400
    assert client.post(f"/live/feed/{stream_id}/sound?at_ms=0&rate_hz=5", content=bytes(8)).status_code == 400


@pytest.mark.parametrize("host", ["evil.example", "evil.example:7860", "127.0.0.1.evil.example", ""])
def test_another_host_is_refused(idle, host):
    assert idle[0].get("/", headers={"host": host}).status_code == 403


@pytest.mark.parametrize("host", ["localhost:7860", "127.0.0.1:9"])
def test_any_port_of_this_machine_is_ours(idle, host):
    assert idle[0].get("/live/assets/page.css", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("path", ["/live/feed", "/gradio_api/upload", "/gradio_api/queue/join"])
def test_a_page_of_another_site_may_do_nothing(idle, path):
    for origin in ("http://evil.example", "http://127.0.0.1:9999", "null"):
        refused = idle[0].post(path, headers={"origin": origin}, content=b"{}")
        assert (refused.status_code, "may not do this" in refused.text) == (403, True)


@pytest.mark.parametrize(
    "name",
    [
        "memory.sqlite",
        "pictures/../memory.sqlite",
        "pictures/%2e%2e/memory.sqlite",
        "..%2fsecret.jpg",
        "%2fetc%2fpasswd",
        "pictures/ab/missing.jpg",
        "pictures/link.jpg",
        "pictures",
    ],
)
def test_nothing_but_key_frames_is_served(idle, name):
    client, _ = idle
    answer = client.get(f"/live/pictures/{name}")
    assert answer.status_code == 404
    assert "hidden words" not in answer.text


def test_gradio_serves_no_file_of_the_memory_or_the_machine(idle):
    client, live = idle
    for path in (live.directory / "memory.sqlite", live.directory.parent / "secret.jpg", "/etc/passwd"):
        answer = client.get(f"/gradio_api/file={path}")
        assert answer.status_code in (403, 404)
        assert "hidden words" not in answer.text


def test_no_function_of_the_page_is_offered_as_an_api(idle):
    offered = idle[0].get("/gradio_api/info").json()
    assert offered["named_endpoints"] == {}
    assert offered["unnamed_endpoints"] == {}


def test_a_port_that_is_taken_is_named_before_anything_is_written(tmp_path):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {port} cannot be taken .* --port"):
            serve(tmp_path / "memory", profile="embedded", runner="local", port=port)
    assert not (tmp_path / "memory").exists()
