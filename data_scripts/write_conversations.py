"""Write conversations about films with a language model, from what a dataset says of them.

The documented way is a model on this machine, served by vLLM (in an environment of its own) in another terminal:

    vllm serve Qwen/Qwen3-30B-A3B-Instruct-2507 --host 127.0.0.1 --port 8000 --max-model-len 8192   # 80 GB GPU

    python data_scripts/write_conversations.py --source chestx_det --root /data/chestx_det --output /data/chestx_det \\
        --model Qwen/Qwen3-30B-A3B-Instruct-2507 --grounded --limit 20

writes ``conversations/<split>/standard/<study_id>.json``, or ``.../grounding/...`` with ``--grounded`` (films with
boxes only), and ``conversations.standard.run/`` or ``conversations.grounding.run/`` with every attempt and why it was
rejected. It shows what it will cost and take, and asks. Killed and started again it goes on where it stopped.

Better conversations come from rewritten reports, where there are any: ``--option text_from=filtered``.

Text of credentialed datasets goes to this machine only, or to an address of which you say that the agreement covers it.
"""

from __future__ import annotations

import argparse
import sys

from radvlm_course.language.command import add_options, run_command, studies_of
from radvlm_course.language.conversations import OUTPUT_FOLDER, conversation_jobs, prompts_of


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, max_tokens=4096)
    parser.add_argument("--grounded", action="store_true", help="with boxes; films without any are left out")
    options = parser.parse_args(arguments)
    jobs, skipped = conversation_jobs(studies_of(options), options.grounded, options.ignore_rules)
    prompts = prompts_of(options.grounded)
    run = f"{OUTPUT_FOLDER}.{'grounding' if options.grounded else 'standard'}"
    return run_command(options, jobs, skipped, OUTPUT_FOLDER, ".json", prompts, output_characters=2800, run=run)


if __name__ == "__main__":
    sys.exit(main())
