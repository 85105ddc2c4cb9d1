"""Start the same Python code in several processes, as a launcher does; a file of its own, used by several tests."""

import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / "radvlm_course" / "configs" / "accelerate"
LAUNCHERS = ("TORCHELASTIC_", "ACCELERATE_", "FSDP_")


@dataclass
class Finished:
    status: int
    output: str
    errors: str


def environment(**more):
    """This process's, with the package of this checkout on the path, one thread, and nothing of another launcher."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(LAUNCHERS)}
    path = os.pathsep.join(filter(None, [str(ROOT), kept.get("PYTHONPATH", "")]))
    return {**kept, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", **more}


def run_processes(code, count=2, timeout=600, **more):
    """Run ``code`` in ``count`` processes that know of each other, without a launcher that ends them."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    shared = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, **more}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    started = [
        subprocess.Popen([sys.executable, "-c", code], env=environment(**shared, RANK=str(rank)), **pipes)
        for rank in range(count)
    ]
    try:
        told = [process.communicate(timeout=timeout) for process in started]
    finally:
        for process in started:
            process.kill()
    return [Finished(process.returncode, *texts) for process, texts in zip(started, told, strict=True)]


def launch(*arguments, config="cpu.yaml", timeout=1500, folder=None, **more):
    """``accelerate launch`` with one of the course's files; the time limit is for a hang, no test is about time."""
    command = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch", "--config_file"]
    command += [str(CONFIGS / config), *map(str, arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    started = subprocess.Popen(command, env=environment(**more), cwd=folder, start_new_session=True, **pipes)
    try:
        told = started.communicate(timeout=timeout)
    finally:
        if started.poll() is None:
            os.killpg(started.pid, signal.SIGTERM)  # the launcher ends what it has started
    return Finished(started.returncode, *told)
