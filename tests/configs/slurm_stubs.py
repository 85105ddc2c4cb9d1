"""Stand-ins for a cluster: srun, scontrol, ray and verl's Python, each writing what it was asked into one log.

Nodes are the addresses 127.0.0.1, 127.0.0.2 and so on, which are all this machine. ``srun`` runs its command here. The
stand-in of a reward service answers 503 a few times before it is ready, so that a trainer that did not wait would show.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import radvlm_course

SLURM = Path(radvlm_course.__file__).parent / "configs" / "slurm"
ROOT = SLURM.parents[2]

_SRUN = """#!/usr/bin/env bash
node=all
while [[ $1 == -* ]]; do [[ $1 == --nodelist=* ]] && node=${1#*=}; shift; done
echo "srun $node: $*" >> "$LOG"
export SLURM_NODEID=0 SLURM_PROCID=0 SLURM_LOCALID=0
exec "$@"
"""
_SCONTROL = """#!/usr/bin/env bash
[[ "$1 $2" == "show hostnames" ]] || exit 9
for ((i = 1; i <= $3; i++)); do echo "127.0.0.$i"; done
"""
_RAY = """#!/usr/bin/env bash
echo "ray $*" >> "$LOG"
echo $$ >> "$PIDS"
exec sleep 600
"""
_VERL_PYTHON = """#!/usr/bin/env bash
if [[ $1 == -c ]]; then  # are so many nodes there?
    (($(grep -c '^ray start' "$LOG") >= ${!#})); exit
fi
echo "trainer $*" >> "$LOG"
echo "address $RAY_ADDRESS" >> "$LOG"
eval "${TRAINER:-true}"
"""
_SERVICE = r"""
import http.server, os, sys
port, waits = int(sys.argv[sys.argv.index("--port") + 1]), int(os.environ.get("WAITS", 3))
with open(os.environ["PIDS"], "a") as file:
    print(os.getpid(), file=file)

class Handler(http.server.BaseHTTPRequestHandler):
    left = waits

    def do_GET(self):
        status = 503 if Handler.left > 0 else 200
        Handler.left -= 1
        with open(os.environ["LOG"], "a") as file:
            print(f"service {port} {self.path} {status}", file=file)
        self.send_response(status)
        self.end_headers()

    def log_message(self, *words):
        pass

if os.environ.get("SERVICE_DIES"):
    sys.exit("no weights")
http.server.HTTPServer(("127.0.0.2", port), Handler).serve_forever()
"""
_COURSE_PYTHON = """#!/usr/bin/env bash
if [[ " $* " == *" serve-rewards "* ]]; then exec {python} {service} "$@"; fi
case " $* " in *" accelerate.commands.launch "* | *" predict "*) echo "course $*" >> "$LOG"; exit ;; esac
exec {python} "$@"
"""


class Cluster:
    """A folder with the stand-ins; runs a script as Slurm would, with so many nodes."""

    def __init__(self, folder: Path, nodes: int) -> None:
        self.folder, self.log, self.pids = folder, folder / "log", folder / "pids"
        self.log.touch()
        self.pids.touch()
        (folder / "service.py").write_text(_SERVICE)
        course = _COURSE_PYTHON.format(python=sys.executable, service=folder / "service.py")
        for name, text in {
            "srun": _SRUN,
            "scontrol": _SCONTROL,
            "ray": _RAY,
            "verl_python": _VERL_PYTHON,
            "course_python": course,
        }.items():
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "RADVLM"))},
            "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
            "LOG": str(self.log),
            "PIDS": str(self.pids),
            "SLURM_JOB_NODELIST": str(nodes),
            "REPOSITORY": str(ROOT),
            "PYTHONPATH": str(ROOT),
            "COURSE_PYTHON": str(folder / "course_python"),
            "VERL_PYTHON": str(folder / "verl_python"),
            "RAY": str(folder / "ray"),
            "OUTPUT": str(folder / "out"),
            "REWARD_PORT": str(free_ports()),
            "REWARD_SERVICES": "2",
            "POLL_SECONDS": "0.1",
            "READY_SECONDS": "60",
            "GRACE_SECONDS": "10",
        }

    def start(self, script: str, *arguments: str, **settings: str) -> subprocess.Popen:
        return subprocess.Popen(
            ["bash", str(SLURM / script), *arguments],
            env={**self.environment, **settings},
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, script: str, *arguments: str, **settings: str) -> tuple[int, str]:
        """Exit status and all that was printed."""
        process = self.start(script, *arguments, **settings)
        told = process.communicate(timeout=120)[0]
        return process.returncode, told

    def lines(self, beginning: str = "") -> list[str]:
        return [line for line in self.log.read_text().splitlines() if line.startswith(beginning)]

    def alive(self) -> list[int]:
        """Services and Ray's processes that still run."""
        return [pid for pid in map(int, self.pids.read_text().split()) if _runs(pid)]

    def wait_for(self, beginning: str) -> None:
        deadline = time.monotonic() + 60
        while not self.lines(beginning):
            assert time.monotonic() < deadline, f"no {beginning!r} in {self.lines()}"
            time.sleep(0.05)

    def end_all(self) -> None:
        for pid in self.alive():
            os.kill(pid, signal.SIGKILL)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def free_ports() -> int:
    """The first of two ports that are free now."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("", port + 1))
            except (OSError, OverflowError):
                continue
            return port
