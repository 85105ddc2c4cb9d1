"""vLLM, its server and reward services that are there, are not, or answer wrongly; on this machine's own ports."""

import http.server
import importlib.util
import socket
import threading

import pytest

from radvlm_course.profiles import load_profile
from radvlm_course.runs import RunError
from radvlm_course.services import check_services, missing_services, vllm_server_url

REMOTE = {"name": "remote", "reward": "soft_f1", "start_seconds": 0.5}


@pytest.fixture
def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def vllm_installed(monkeypatch):
    find_spec = importlib.util.find_spec
    found = importlib.util.find_spec("json")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: found if name == "vllm" else find_spec(name))


@pytest.fixture
def health():
    """A server that answers every question with ``status``."""

    class Answers(http.server.BaseHTTPRequestHandler):
        status = 200

        def do_GET(self):
            self.send_response(self.status)
            self.end_headers()

        def log_message(self, *args):
            pass

    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    yield running, Answers
    running.shutdown()
    running.server_close()
    thread.join()


def with_server(url):
    trainer = "grpo_reports.trainer"
    return load_profile("multi-gpu", {f"{trainer}.vllm_mode": "server", f"{trainer}.vllm_server_base_url": url})


def test_the_laptop_needs_nothing_of_the_kind():
    check_services(load_profile("laptop"), ["grpo_grounding", "grpo_reports"])


def test_a_vllm_that_is_not_installed_is_named_with_the_stage_and_the_way_out(monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "vllm" else find_spec(name))
    with pytest.raises(RunError, match=r"- grpo_grounding: it writes with vLLM, which is not installed: pip install"):
        check_services(load_profile("multi-gpu"), ["grpo_grounding"])


def test_a_colocated_vllm_needs_no_server(vllm_installed):
    assert missing_services(load_profile("multi-gpu"), "grpo_reports") == []


def test_a_server_that_is_not_there_is_named_with_the_command_that_starts_it(vllm_installed, closed_port):
    (line,) = missing_services(with_server(f"http://127.0.0.1:{closed_port}"), "grpo_reports")
    assert f"no vLLM server answers at http://127.0.0.1:{closed_port} (" in line
    assert "refused" in line and "vllm serve MODEL" in line


def test_a_server_that_answers_is_enough_and_one_that_is_ill_is_not(vllm_installed, health):
    running, answers = health
    profile = with_server(f"http://127.0.0.1:{running.server_port}")
    assert missing_services(profile, "grpo_reports") == []
    answers.status = 503
    (line,) = missing_services(profile, "grpo_reports")
    assert "it answers 503" in line


def test_where_the_server_is_follows_trls_fields_and_their_defaults():
    from trl import GRPOConfig

    fields = GRPOConfig.__dataclass_fields__
    host, port = fields["vllm_server_host"].default, fields["vllm_server_port"].default
    assert fields["vllm_mode"].default == "colocate"
    assert vllm_server_url({}) == f"http://{host}:{port}"
    assert vllm_server_url({"vllm_server_host": "gpu7", "vllm_server_port": 9000}) == "http://gpu7:9000"
    assert vllm_server_url({"vllm_server_base_url": "http://gpu7:1/"}) == "http://gpu7:1"


def test_a_reward_service_that_is_not_ready_is_named(closed_port):
    remote = {**REMOTE, "url": f"http://127.0.0.1:{closed_port}"}
    profile = load_profile("laptop", {"grpo_grounding.reward": {"served": remote}})
    with pytest.raises(RunError, match=r"grpo_grounding: the reward 'served' is not served: no answer .*serve-rewards"):
        check_services(profile, ["grpo_grounding", "grpo_reports"])


def test_a_reward_that_training_can_score_itself_is_not_asked_for(closed_port):
    remote = {**REMOTE, "url": f"http://127.0.0.1:{closed_port}", "on_failure": "local"}
    profile = load_profile("laptop", {"grpo_grounding.reward": {"served": remote}})
    assert missing_services(profile, "grpo_grounding") == []


def test_one_process_of_several_asks(monkeypatch, closed_port):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    remote = {**REMOTE, "url": f"http://127.0.0.1:{closed_port}"}
    check_services(load_profile("laptop", {"grpo_grounding.reward": {"served": remote}}), ["grpo_grounding"])
