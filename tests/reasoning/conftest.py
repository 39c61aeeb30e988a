"""A server that answers as a language model would be asked to, on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest


class ChatServer(HTTPServer):
    """Answers /v1/chat/completions with what it is told to, and keeps what it was sent."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.reply: tuple[int, bytes, dict[str, str]] = (200, b"{}", {})
        self.received: list[dict] = []
        self.release = threading.Event()
        self.release.set()

    def say(self, content: str) -> None:
        body = {"choices": [{"message": {"role": "assistant", "content": content}}]}
        self.reply = (200, json.dumps(body).encode(), {})

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, ChatServer)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server.received.append({"path": self.path, "headers": dict(self.headers), "body": json.loads(body)})
        server.release.wait(10)
        status, payload, headers = server.reply
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[ChatServer]:
    server = ChatServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.release.set()
    server.shutdown()
    thread.join()
    server.server_close()
