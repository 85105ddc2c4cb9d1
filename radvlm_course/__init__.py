"""RadVLM-GRPO taught cell by cell: the helper package behind the notebooks.

Importing it imports neither torch nor anything heavy; each stage pays for what it uses.
"""

import logging

__version__ = "0.1.0"

# bitsandbytes, which peft imports, warns on every processor of a kernel on a hub that only inference would use.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
