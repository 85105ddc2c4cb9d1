"""What each process of a distributed test does: a few updates of the tiny model, by the course's own SFT or GRPO.

``python many_processes_worker.py job.json``; the job names the model, the examples, the options and the folder.

Sampling differs between processes, and what is sampled decides everything after it. So GRPO's completions are not
sampled here: each place of the global batch has its own, the same whatever process that place falls to. Everything
after it is TRL's: rewards, groups gathered from all processes, advantages, reference, loss, gradients.

With ``fsdp2`` one more thing is changed. accelerate shares out weights on devices that it has a name for, and passes
over FSDP in silence for processes on processors (``AcceleratorState.__init__`` asks for MULTI_GPU and the like, never
for MULTI_CPU). Here it is told that these processes are such devices; torch's FSDP2 itself runs over gloo.
"""

import json
import sys
from pathlib import Path


def share_out_on_processors():
    import torch
    from accelerate.state import DistributedType, PartialState

    def backend(self, cpu=False, use_sagemaker_dp=False, backend=None):
        return "gloo", DistributedType.MULTI_GPU

    def device(self):
        self.device = torch.device("cpu")

    PartialState._prepare_backend = backend
    PartialState.set_device = device
    torch.distributed.init_process_group("gloo")


def fix_completions(tokenizer):
    """Boxes of several sizes, so that rewards, lengths and advantages differ within every group."""
    from trl import GRPOTrainer

    texts = ["[0.10, 0.10, 0.90, 0.90]", "[0.20, 0.10, 0.60, 0.50] and [0.40, 0.40, 0.90, 0.90]", "none"]
    texts += [f"[0.{low}, 0.{low}, 0.{low + 30}, 0.{low + 30}]" for low in (10, 20, 30, 40, 50, 60)]
    table = [[*tokenizer(text)["input_ids"], tokenizer.eos_token_id] for text in texts]

    def generate(self, prompt_ids, images, multimodal_fields, num_generations, has_tool_images=False):
        first = self.accelerator.process_index * len(prompt_ids) + 5 * self.state.global_step
        return [table[(first + place) % len(table)] for place in range(len(prompt_ids))], None

    GRPOTrainer._generate_single_turn = generate


def main(path):
    job = json.loads(Path(path).read_text())
    if job.get("fsdp2"):
        share_out_on_processors()
    from radvlm_course.models.adapters import save_trained
    from radvlm_course.models.loading import load_model
    from radvlm_course.processes import from_main
    from radvlm_course.records import Example, read_jsonl
    from radvlm_course.training.sharding import whole_weights

    examples = list(read_jsonl(job["examples"], Example))
    loaded = load_model(job["model"], encode_once=False)
    folder = Path(job["folder"])
    if job["stage"] == "sft":
        from radvlm_course.training.sft import run_sft

        trainer = run_sft(*loaded, examples, folder, job["options"], seed=0, freeze_vision=False)
    else:
        from radvlm_course.training.grpo import run_grpo

        fix_completions(loaded.processor.tokenizer)
        trainer = run_grpo(*loaded, examples, "soft_f1", folder, job["options"], seed=0, freeze_vision=False)
    weights = whole_weights(trainer)
    from_main("the model", lambda: save_trained(loaded.model, folder / "model", weights))
    kind = type(next(iter(loaded.model.parameters()))).__name__
    from_main("what was trained", lambda: (folder / "parameters").write_text(kind))


if __name__ == "__main__":
    main(sys.argv[1])
