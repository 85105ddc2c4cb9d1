"""The process: its address, loading, failure to load, exit status."""

import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import httpx

from radvlm_course.rewards.service.wire import TOKEN_VARIABLE


def test_a_reward_that_cannot_be_loaded_ends_the_process_with_the_reason(start_service) -> None:
    service = start_service("--set", "scripted.broken=true", rewards="gleu,scripted", wait=False)
    assert service.process.wait(120) == 1
    log = service.log.read_text()
    assert "scripted could not be loaded" in log
    assert "the weights are not there" in log


def test_an_address_elsewhere_without_a_token_is_refused(start_service, tmp_path) -> None:
    refused = start_service("--host", "0.0.0.0", rewards="scripted", wait=False)
    assert refused.process.wait(120) == 1
    assert TOKEN_VARIABLE in refused.log.read_text()
    (tmp_path / "token").write_text("a-token-of-a-fair-length")
    service = start_service("--host", "0.0.0.0", "--token-file", str(tmp_path / "token"), rewards="scripted")
    assert service.get("/v1/rewards/scripted").status_code == 401


def test_a_port_that_is_taken_is_a_reason_not_a_traceback(start_service) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        service = start_service(rewards="scripted", port=taken.getsockname()[1], wait=False)
        assert service.process.wait(120) == 1
    assert service.log.read_text().startswith("error: ")


def test_while_models_load_it_is_healthy_and_not_ready_and_tells_callers_to_come_again(
    start_service, connect, tmp_path, make_pairs, scripted
) -> None:
    weights = tmp_path / "weights"
    service = start_service("--set", f"scripted.wait_for_file={weights}", rewards="scripted", wait=False)
    line = service.process.stdout.readline()
    service.url = line.split()[-1]
    for _ in range(2000):
        try:
            assert service.get("/health").status_code == 200
            break
        except httpx.ConnectError:
            time.sleep(0.02)
    assert service.get("/ready").json() == {"ready": False, "rewards": {"scripted": False}}
    early = service.get("/v1/rewards/scripted")
    assert (early.status_code, early.headers["Retry-After"]) == (503, "1")
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(connect, service.url)
        time.sleep(0.2)
        assert not waiting.done()
        weights.touch()
        pairs = make_pairs("early", 3)
        assert waiting.result(20)(*pairs) == scripted(*pairs)
    assert service.get("/ready").status_code == 200


def test_an_interrupt_ends_it_as_politely_as_sigterm(start_service) -> None:
    service = start_service(rewards="scripted")
    service.signal(signal.SIGINT)
    assert service.process.wait(120) == 0
    assert "Traceback" not in service.log.read_text()


def test_sigterm_while_models_load_ends_it_at_once(start_service, tmp_path) -> None:
    never = tmp_path / "never"
    service = start_service("--set", f"scripted.wait_for_file={never}", rewards="scripted", wait=False)
    assert service.process.stdout.readline().startswith("serving scripted")
    time.sleep(0.5)
    service.signal(signal.SIGTERM)
    assert service.process.wait(120) == 0
