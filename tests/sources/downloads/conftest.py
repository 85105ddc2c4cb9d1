"""A file server that cuts connections, serves wrong bytes, forgets ranges and changes its files; archives to serve."""

import hashlib
import io
import re
import socket
import tarfile
import threading
import time
import zipfile
from collections import defaultdict
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from radvlm_course.sources.downloads.fetching import Fetcher, FetchSettings
from radvlm_course.sources.downloads.table import RemoteFile

QUICK = FetchSettings(tries=3, silence_seconds=30, first_pause=0.01, longest_pause=0.02)


@dataclass
class Fault:
    """What the server does with one request instead of answering it well."""

    cut_after: int | None = None  # bytes of the body, then the connection is closed
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    hang: float = 0.0
    flip: int | None = None  # this byte of the file comes wrong
    change_to: bytes | None = None  # the file is replaced before it is answered
    shift: int = 0  # the range begins so many bytes late
    blind: bool = False  # the range is answered with that of another version: If-Range is not looked at


class FileServer:
    """Serves ``files`` with ranges and ETags; ``faults[path]`` are used up, one a request."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.faults: dict[str, list[Fault]] = defaultdict(list)
        self.ranges, self.etags, self.lengths = True, True, True
        self.requests: list[tuple[str, str, str]] = []  # method, path, range
        self.bytes_sent = 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                try:
                    server.answer(self)
                except OSError:
                    self.close_connection = True

            do_HEAD = do_GET

            def log_message(self, *_: object) -> None: ...

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.handle_error = lambda *_: None  # type: ignore[method-assign]
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_port}"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        path, asked = handler.path, handler.headers.get("range", "")
        self.requests.append((handler.command, path, asked))
        faults = self.faults[path]
        fault = faults.pop(0) if faults and handler.command == "GET" else Fault()
        time.sleep(fault.hang)
        if fault.change_to is not None:
            self.files[path] = fault.change_to
        if fault.status or path not in self.files:
            self._send(handler, fault.status or 404, fault.headers, fault.body)
            return
        content = self.files[path]
        etag = f'"{hashlib.md5(content).hexdigest()}"'
        if fault.flip is not None:
            content = content[: fault.flip] + bytes([content[fault.flip] ^ 1]) + content[fault.flip + 1 :]
        headers = ({"etag": etag} if self.etags else {}) | fault.headers
        status, first = 200, 0
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", asked) if self.ranges else None
        if found and (fault.blind or handler.headers.get("if-range", etag) == etag):
            first, last = int(found[1]) + fault.shift, min(int(found[2] or len(content)), len(content) - 1)
            if first >= len(content):
                self._send(handler, 416, headers, b"")
                return
            status, headers["content-range"] = 206, f"bytes {first}-{last}/{len(content)}"
            content = content[: last + 1]
        self._send(handler, status, headers, content[first:], fault.cut_after)

    def _send(
        self, handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: bytes, cut: int | None = None
    ) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        if self.lengths:
            handler.send_header("content-length", str(len(body)))
        else:
            handler.send_header("connection", "close")
            handler.close_connection = True
        handler.end_headers()
        if handler.command == "HEAD":
            return
        sent = body if cut is None else body[:cut]
        handler.wfile.write(sent)
        handler.wfile.flush()
        self.bytes_sent += len(sent)
        if cut is not None:
            handler.connection.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def server():
    started = FileServer()
    yield started
    started.http.shutdown()
    started.http.server_close()


@pytest.fixture
def fault() -> type[Fault]:
    return Fault


@pytest.fixture
def quick() -> FetchSettings:
    return QUICK


@pytest.fixture
def fetcher(tmp_path: Path):
    with Fetcher(tmp_path / "root", QUICK, progress=False) as made:
        yield made


@pytest.fixture
def remote(server: FileServer):
    """Serve bytes and describe them: ``remote(content, name, digest=True, ...)``."""

    def serve(content: bytes, name: str = "a.bin", digest: bool = True, **more: Any) -> RemoteFile:
        server.files[f"/{name}"] = content
        if digest:
            more = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)} | more
        return RemoteFile(name=name, url=f"{server.url}/{name}", **more)

    return serve


def tar_of(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def zip_of(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


@pytest.fixture
def archive_of():
    """``archive_of(files, ".zip")``: the bytes of an archive."""

    def made(files: dict[str, bytes], suffix: str) -> bytes:
        return zip_of(files) if suffix == ".zip" else tar_of(files)

    return made
