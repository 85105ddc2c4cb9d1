"""Rewrite reports with a language model, so that they speak of one film only.

The documented way is a model on this machine, served by vLLM (in an environment of its own) in another terminal:

    vllm serve Qwen/Qwen3-30B-A3B-Instruct-2507 --host 127.0.0.1 --port 8000 --max-model-len 8192   # 80 GB GPU
    vllm serve Qwen/Qwen3-4B-Instruct-2507 --host 127.0.0.1 --port 8000 --max-model-len 8192        # 16 GB GPU

    python data_scripts/rewrite_reports.py --source open_i --root /data/open_i --output /data/open_i \\
        --model Qwen/Qwen3-30B-A3B-Instruct-2507 --limit 20

writes ``filtered_reports/<study>.txt`` into the output folder, where the reader of the dataset finds them, and
``filtered_reports.run/`` with every attempt and why it was rejected. It shows what it will cost and take, and asks.
Killed and started again it goes on where it stopped. ``--estimate`` only shows the estimate.

Text of credentialed datasets goes to this machine only, or to an address of which you say that the agreement covers it.
"""

from __future__ import annotations

import argparse
import sys

from radvlm_course.language.command import add_options, run_command, studies_of
from radvlm_course.language.report_rewriting import OUTPUT_FOLDER, VARIANTS, prompts_of, rewriting_jobs


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, max_tokens=2048)
    parser.add_argument(
        "--variant", choices=sorted(VARIANTS), help="of the prompt (default: the dataset's own, else mimic_cxr)"
    )
    options = parser.parse_args(arguments)
    variant = options.variant or (options.source if options.source in VARIANTS else "mimic_cxr")
    jobs, skipped = rewriting_jobs(studies_of(options), variant, options.ignore_rules)
    return run_command(options, jobs, skipped, OUTPUT_FOLDER, ".txt", prompts_of(variant), output_characters=350)


if __name__ == "__main__":
    sys.exit(main())
