"""The server's own routes beside Gradio's: the camera's feed, the memory's pictures, and what guards them.

    POST /live/feed                              {"now_ms", "video", "audio"} -> {"stream_id", "pictures_per_s"}
    POST /live/feed/STREAM/picture?at_ms=        a JPEG
    POST /live/feed/STREAM/sound?at_ms=&rate_hz= little-endian int16, mono
    POST /live/feed/STREAM/end
    GET  /live/pictures/pictures/ab/....jpg      a key frame of the memory, and nothing else of it
    GET  /metrics                                counters of the watch, in Prometheus' text format

The server listens on the loopback alone; against pages of other sites that the same browser shows, the
`Host` and `Origin` of every request must be ours (DNS rebinding, cross-site requests), and the content
security policy lets our page load nothing from elsewhere. Errors are {"error": text}.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles

from reverie.errors import MemoryStoreError, ReverieError, SourceError
from reverie.serve.feed import MAX_PICTURE_BYTES, MAX_SOUND_BYTES
from reverie.serve.live import LiveSession
from reverie.telemetry import prometheus

HOSTS = ("127.0.0.1", "localhost")
POLICY = "; ".join(
    [
        "default-src 'self'",
        # Gradio compiles its templates and starts its modules in the page.
        "script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' data: blob:",
        "font-src 'self' data:",
        "worker-src 'self' blob:",
        "connect-src 'self' blob: data:",
        "object-src 'none'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ]
)
_KEY_FRAME = re.compile(r"pictures/[0-9a-f]{2}/[0-9a-f]{32}\.jpg")  # and nothing else: no `..`, no other file
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Permissions-Policy": "camera=(self), microphone=(self), geolocation=()",
}
_GUARDED = ("POST", "PUT", "DELETE", "PATCH")


def guard(app: FastAPI) -> None:
    """Refuse requests that come from other sites, and tell the browser to load nothing from them."""

    @app.middleware("http")
    async def ours_only(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        host = request.headers.get("host", "")
        if urlsplit(f"//{host}").hostname not in HOSTS:
            return JSONResponse({"error": f"{host} is not this machine"}, status_code=403)
        origin = request.headers.get("origin")
        if origin is not None and request.method in _GUARDED and urlsplit(origin).netloc != host:
            return JSONResponse({"error": f"a page of {origin} may not do this"}, status_code=403)
        response = await call_next(request)
        for name, value in _HEADERS.items():
            response.headers[name] = value
        return response


def add_routes(app: FastAPI, live: LiveSession) -> None:
    """Add the routes of the module's docstring."""

    @app.exception_handler(ReverieError)
    async def refused(request: Request, error: ReverieError) -> JSONResponse:
        status = 400 if isinstance(error, SourceError) else 503 if isinstance(error, MemoryStoreError) else 409
        return JSONResponse({"error": str(error)}, status_code=status)

    @app.post("/live/feed")
    async def open_feed(request: Request) -> dict[str, Any]:
        try:
            wanted = await request.json()
            now_ms, video, audio = float(wanted["now_ms"]), bool(wanted["video"]), bool(wanted["audio"])
        except (KeyError, TypeError, ValueError) as error:
            raise SourceError("the page's camera", f"{error!r} in the request to open it") from error
        if not video and not audio:
            raise SourceError("the page's camera", "neither camera nor microphone was allowed")
        stream_id = await asyncio.to_thread(live.start_camera, now_ms, has_video=video, has_audio=audio)
        return {"stream_id": stream_id, "pictures_per_s": live.pictures_per_s}

    @app.post("/live/feed/{stream_id}/picture", status_code=204)
    async def picture(stream_id: str, at_ms: float, request: Request) -> None:
        jpeg = await _body(request, MAX_PICTURE_BYTES)
        await asyncio.to_thread(live.picture, stream_id, at_ms, jpeg)

    @app.post("/live/feed/{stream_id}/sound", status_code=204)
    async def sound(stream_id: str, at_ms: float, rate_hz: int, request: Request) -> None:
        pcm = await _body(request, MAX_SOUND_BYTES)
        await asyncio.to_thread(live.sound, stream_id, at_ms, rate_hz, pcm)

    @app.post("/live/feed/{stream_id}/end", status_code=204)
    async def end(stream_id: str) -> None:
        await asyncio.to_thread(live.finish, stream_id)

    @app.get("/live/pictures/{name:path}")
    async def key_frame(name: str) -> Response:
        try:
            data = await asyncio.to_thread(live.key_frame, name) if _KEY_FRAME.fullmatch(name) else None
        except (FileNotFoundError, MemoryStoreError):
            data = None
        if data is None:
            return JSONResponse({"error": "there is no such picture in this memory"}, status_code=404)
        return Response(data, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=300"})

    @app.get("/metrics")
    async def metrics() -> Response:
        progress = live.view().progress
        counters = progress.counters.values() if progress else {}
        return Response(prometheus(counters), media_type="text/plain; version=0.0.4")

    app.mount("/live/assets", StaticFiles(directory=assets()))


def assets() -> Path:
    """The page's own script and style."""
    return Path(str(files("reverie.serve"))) / "assets"


async def _body(request: Request, max_bytes: int) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > max_bytes:
            raise SourceError("the page's camera", f"more than {max_bytes} bytes in one piece")
    return bytes(body)
