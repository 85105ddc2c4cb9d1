"""RadVLM-GRPO taught cell by cell: the helper package behind the notebooks.

Importing it imports neither torch nor anything heavy; each stage pays for what it uses.
"""

__version__ = "0.1.0"
