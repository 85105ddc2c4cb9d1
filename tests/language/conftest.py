"""A language model server that misbehaves on demand, over loopback; jobs and studies to ask it about."""

import importlib.util
import json
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from radvlm_course.boxes import Box
from radvlm_course.language.client import CallSettings, LanguageClient
from radvlm_course.language.endpoint import Endpoint
from radvlm_course.records import Study, write_jsonl

GOOD_REPORT = "The lungs are clear. The heart is of normal size."


@dataclass
class Reply:
    """What the server does with a request."""

    text: str = GOOD_REPORT
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None  # instead of a completion
    finish_reason: str = "stop"
    refusal: str | None = None
    hang: float = 0.0  # seconds before it answers
    cut: bool = False  # close the connection in the middle of the answer

    def content(self) -> bytes:
        if self.body is not None:
            return self.body
        message = {"role": "assistant", "content": self.text, "refusal": self.refusal}
        return json.dumps(
            {
                "id": "c",
                "object": "chat.completion",
                "created": 0,
                "model": "m",
                "choices": [{"index": 0, "message": message, "finish_reason": self.finish_reason}],
                "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
            }
        ).encode()


class Model:
    """An OpenAI-compatible server; ``behave(study, number)`` says what it does with the number-th call of a study."""

    def __init__(self, behave: Callable[[str, int], Reply]) -> None:
        self.behave = behave
        self.requests: list[dict[str, Any]] = []
        self.calls: Counter[str] = Counter()  # study -> calls
        self.at_a_time, self.most_at_a_time = 0, 0
        self.times: list[float] = []
        self._lock = threading.Lock()
        model = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                model.answer(self)

            do_GET = do_CONNECT = do_POST

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients are killed here
        self.server.daemon_threads = True
        self.port = self.server.server_port
        self.url = f"http://127.0.0.1:{self.port}/v1"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        size = int(handler.headers.get("content-length", 0))
        body = handler.rfile.read(size)
        if len(body) < size:  # the client was killed while it was sending
            handler.close_connection = True
            return
        request = json.loads(body or b"{}")
        found = re.search(r"study-\d+", json.dumps(request))
        study = found.group() if found else handler.path
        with self._lock:
            self.calls[study] += 1
            number = self.calls[study]
            self.requests.append(request)
            self.times.append(time.monotonic())
            self.at_a_time += 1
            self.most_at_a_time = max(self.most_at_a_time, self.at_a_time)
        reply = self.behave(study, number)
        time.sleep(reply.hang)
        with self._lock:
            self.at_a_time -= 1
        content = reply.content()
        try:
            handler.send_response(reply.status)
            for name, value in ({"content-type": "application/json"} | reply.headers).items():
                handler.send_header(name, value)
            handler.send_header("content-length", str(len(content)))
            handler.end_headers()
            handler.wfile.write(content[: len(content) // 2] if reply.cut else content)
            handler.wfile.flush()
            if reply.cut:
                handler.connection.shutdown(socket.SHUT_RDWR)
        except OSError:  # the client gave up, or was killed
            handler.close_connection = True

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def written_studies(folder: Path, count: int) -> list[Study]:
    """A dataset in the phantom's layout: a film, a report and a box a study, the report naming the study."""
    folder.mkdir(parents=True)
    studies = []
    for number in range(count):
        (folder / f"film-{number}.png").touch()
        report = f"This is study-{number}. The lungs are clear compared to ___. The heart is of normal size."
        boxes = {"nodule": (Box(0.1, 0.2, 0.3, 0.4),)} if number % 2 == 0 else {}
        labels = {"nodule": int(bool(boxes)), "edema": -1}
        studies.append(
            Study(f"film-{number}.png", (8, 8), "p", f"s{number}", "phantom", "train", "PA", report, labels, {}, boxes)
        )
    write_jsonl(studies, folder / "studies.jsonl")
    (folder / "corpus.json").write_text('{"complete": true}')
    return studies


@pytest.fixture
def written() -> Callable[[Path, int], list[Study]]:
    return written_studies


@pytest.fixture
def studies(tmp_path: Path) -> list[Study]:
    """Ten studies, which lie in ``tmp_path / "data"``."""
    return written_studies(tmp_path / "data", 10)


@pytest.fixture
def script():
    """A command line of ``data_scripts``: ``script(name)`` is its module."""

    def load(name: str):
        path = Path(__file__).parents[2] / "data_scripts" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def reply() -> type[Reply]:
    return Reply


@pytest.fixture
def start_model():
    """Start a server: ``start_model(behave)``; without ``behave`` it always answers well."""
    started: list[Model] = []

    def start(behave: Callable[[str, int], Reply] = lambda study, number: Reply()) -> Model:
        started.append(Model(behave))
        return started[-1]

    yield start
    for model in started:
        model.stop()


QUICK = {"timeout_seconds": 30.0, "tries": 3, "first_pause": 0.01, "longest_pause": 0.02}


@pytest.fixture
def connect():
    """A client with short times: ``connect(model)``."""

    def open_client(model: Model, covered_by: str = "", **settings: Any) -> LanguageClient:
        return LanguageClient(Endpoint(model.url, "m", covered_by), CallSettings(**{**QUICK, **settings}))

    return open_client
