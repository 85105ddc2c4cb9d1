"""Start the processes of ``save_sharded.py``; fixtures of the tests that read what they save."""

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("save_sharded.py")


def save_sharded(kind: str, model: Path, output: Path, processes: int = 2) -> Path:
    """Have a model saved in shards; returns the output folder, which also holds ``expected``, the whole model."""
    output.mkdir(parents=True)
    here = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    here |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}  # accelerate asks for them; the file STORE is used
    running = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), kind, str(model), str(output), str(output / "store")],
            env={**here, "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(processes)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in range(processes)
    ]
    told = [process.communicate(timeout=300)[0] for process in running]
    assert [process.returncode for process in running] == [0] * processes, "\n".join(told)
    return output
