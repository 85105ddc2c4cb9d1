"""Real services in processes of their own, and pairs to score."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

import radvlm_course
from radvlm_course.boxes import Box
from radvlm_course.records import Example
from radvlm_course.rewards.service.client import RemoteReward
from radvlm_course.rewards.service.wire import TOKEN_VARIABLE

SERVED = Path(__file__).with_name("served.py")
CODE = str(Path(radvlm_course.__file__).parents[1])  # the service runs the code under test, wherever that lies


@pytest.fixture(scope="session")
def scripted():
    """The reward ``scripted`` as it scores in this process."""
    import importlib.util

    spec = importlib.util.spec_from_file_location("served", SERVED)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Scripted()


class Service:
    """A reward service in a process of its own."""

    def __init__(
        self, folder, *arguments, rewards="gleu,rouge_l,soft_f1,thinking_format,scripted", port=0, environment=None
    ):
        self.log = folder / f"service-{time.monotonic_ns()}.log"
        command = [sys.executable, str(SERVED), "serve-rewards", "--rewards", rewards, "--port", str(port), *arguments]
        clean = {key: value for key, value in os.environ.items() if key != TOKEN_VARIABLE}
        clean["PYTHONPATH"] = os.pathsep.join(filter(None, [CODE, os.environ.get("PYTHONPATH")]))
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=log, text=True, env=clean | (environment or {})
            )

    def wait(self):
        line = self.process.stdout.readline()
        found = re.search(r"http://\S+:(\d+)", line)
        assert found, f"{line!r} {self.log.read_text()}"
        self.port = int(found[1])
        self.url = f"http://127.0.0.1:{self.port}"
        for _ in range(1200):
            if self.get("/ready").status_code == 200:
                return self
            time.sleep(0.05)
        raise AssertionError(f"not ready: {self.log.read_text()}")

    def get(self, path, **options):
        return httpx.get(self.url + path, timeout=20, **options)

    def metric(self, name, **labels):
        """Sum of a metric over the label sets that hold ``labels``."""
        from prometheus_client.parser import text_string_to_metric_families

        samples = (s for family in text_string_to_metric_families(self.get("/metrics").text) for s in family.samples)
        return sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        """End it politely; returns its exit status."""
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        return self.process.wait(120)


@pytest.fixture
def start_service(tmp_path):
    started = []

    def start(*arguments, wait=True, **options):
        service = Service(tmp_path, *arguments, **options)
        started.append(service)
        return service.wait() if wait else service

    yield start
    for service in started:
        service.process.kill()
        service.process.wait()


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    running = Service(tmp_path_factory.mktemp("service")).wait()
    yield running
    running.process.kill()
    running.process.wait()


@pytest.fixture
def connect():
    """Build a RemoteReward that does not wait long, closed after the test."""
    opened = []

    def remote(url, reward="scripted", **options):
        settings = {"timeout_seconds": 20.0, "attempts": 3, "start_seconds": 60.0} | options
        opened.append(RemoteReward(url, reward, **settings))
        return opened[-1]

    yield remote
    for reward in opened:
        reward.close()


@pytest.fixture(scope="session")
def make_pairs():
    """Distinct completions and examples of one caller."""

    def pairs(caller, count, words="No effusion"):
        examples = [
            Example(
                f"{caller}-{index}",
                "report_generation",
                "film.png",
                "Report?",
                f"No effusion in film {caller} {index}.",
                (Box(0.1, 0.1, 0.2 + index % 700 / 1000, 0.3),),
            )
            for index in range(count)
        ]
        return [f"{words} {caller} {index}." for index in range(count)], examples

    return pairs
