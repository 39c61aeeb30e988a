"""`reverie demo`: the live page, on this machine only.

    serve(Path("live.memory"), profile="embedded", runner="ray", port=7860)

`build` makes the web application (routes of `web.py`, page of `page.py`) over a `LiveSession`; `serve`
runs it until it is interrupted. Gradio is told to fetch, count and share nothing.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

from fastapi import FastAPI

from reverie.errors import ConfigError, UsageError
from reverie.pipeline.session import Runner
from reverie.serve.live import LiveSession

HOST = "127.0.0.1"
MAX_UPLOAD = "4gb"
MAX_WAITING = 64


def build(live: LiveSession) -> FastAPI:
    """The web application over a live session.

    Raises:
        ConfigError: gradio is not installed.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"  # read when gradio is imported
    try:
        import gradio as gr
    except ImportError as error:
        raise ConfigError("the live page needs gradio: pip install 'reverie[demo]'") from error
    from reverie.serve.page import live_page, theme
    from reverie.serve.web import add_routes, assets, guard

    app = FastAPI(title="reverie", docs_url=None, redoc_url=None, openapi_url=None)
    guard(app)
    add_routes(app, live)
    page = live_page(live)
    page.queue(max_size=MAX_WAITING, default_concurrency_limit=4)
    gr.mount_gradio_app(
        app,
        page,
        path="/",
        server_name=HOST,
        footer_links=[],
        show_error=True,
        max_file_size=MAX_UPLOAD,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
        theme=theme(),
        css_paths=[assets() / "page.css"],
    )
    return app


def serve(memory: Path, *, profile: str, runner: Runner, port: int) -> None:
    """Serve the live page until interrupted; what was watched stays in `memory`.

    Raises:
        ConfigError: unknown profile or runner, or gradio is not installed.
        UsageError: the port is taken.
        KeyboardInterrupt: Ctrl+C or SIGTERM; everything is closed by then.
    """
    with (
        _listening(port) as listener,
        # Uploads lie in a folder that nobody else can read, and go with it.
        TemporaryDirectory(prefix="reverie-", ignore_cleanup_errors=True) as uploads,
        LiveSession(memory, profile=profile, runner=runner) as live,
    ):
        os.environ["GRADIO_TEMP_DIR"] = uploads
        signal.signal(signal.SIGTERM, _interrupt)  # uvicorn hands the signal on to us when it has shut down
        asyncio.run(_run(live, listener))


async def _run(live: LiveSession, listener: socket.socket) -> None:
    import uvicorn

    # Built while a loop runs: Gradio would otherwise open loops of its own and leave them.
    config = uvicorn.Config(build(live), log_level="warning", access_log=False, timeout_graceful_shutdown=3)
    address = f"http://{HOST}:{listener.getsockname()[1]}"
    sys.stderr.write(f"reverie: the live page is at {address}, its memory in {live.directory}; Ctrl+C ends it\n")
    sys.stderr.flush()
    keeping = asyncio.create_task(_keep_sigterm())
    await uvicorn.Server(config).serve(sockets=[listener])
    keeping.cancel()


async def _keep_sigterm() -> None:
    """Ray's core takes SIGTERM over when it starts and would abort the process: take it back, before long."""
    while True:
        await asyncio.sleep(1)
        signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGTERM))


def _interrupt(signum: int, frame: FrameType | None) -> None:
    """Leave as Ctrl+C does: what is open is closed."""
    raise KeyboardInterrupt


def _listening(port: int) -> socket.socket:
    """Take the port first: a clear error before any model is loaded. Port 0 takes a free one."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise UsageError(f"port {port} cannot be taken ({error.strerror}): name another one with --port") from error
    return listener
