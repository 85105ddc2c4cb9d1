"""The Slurm scripts, run here with stand-ins for srun, scontrol, ray and verl."""

import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from radvlm_course.profile_checks import check_batches
from radvlm_course.profiles import load_profile, parse_override

if sys.platform != "linux":
    pytest.skip("nodes are addresses of the loopback network, all of which only Linux answers", allow_module_level=True)


@pytest.fixture(scope="module")
def stubs():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parent)
        import slurm_stubs

    return slurm_stubs


@pytest.fixture
def cluster(stubs, tmp_path):
    """``cluster(nodes)``; whatever still runs afterwards is ended."""
    made = []

    def cluster(nodes):
        made.append(stubs.Cluster(tmp_path, nodes))
        return made[-1]

    yield cluster
    for one in made:
        one.end_all()


def scripts():
    return sorted((Path(__file__).parents[2] / "radvlm_course" / "configs" / "slurm").glob("*.sbatch"))


@pytest.mark.parametrize("script", scripts(), ids=lambda path: path.name)
def test_shellcheck_finds_nothing(script):
    shellcheck = shutil.which("shellcheck", path=Path(sys.executable).parent) or shutil.which("shellcheck")
    if shellcheck is None:
        pytest.skip("shellcheck is not installed (part of the extra 'dev')")
    found = subprocess.run([shellcheck, "--enable=quote-safe-variables", str(script)], capture_output=True, text=True)
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize("script", scripts(), ids=lambda path: path.name)
def test_no_path_account_or_address_of_somebody_stands_in_a_script(script):
    text = script.read_text(encoding="utf-8")
    assert not re.findall(r"(?<![\w.}\"$)/])[/~]\w+/\w+", re.sub("#!/usr/bin/env|2?>/dev/null", "", text))
    assert not re.search(r"--account|--partition|--reservation|--mail|\d+\.\d+\.\d+\.[1-9]", text)


def test_the_trainer_starts_when_every_service_is_ready_and_ray_is_complete(cluster):
    job = cluster(4)
    status, told = job.run("verl_grpo.sbatch", "trainer.save_freq=5", VARIANT="radvlm_instruct_radcliq")
    assert status == 0, told
    log = job.lines()
    (trainer,) = (index for index, line in enumerate(log) if line.startswith("trainer"))
    before = log[:trainer]
    port = int(job.environment["REWARD_PORT"])
    for service in (port, port + 1):
        answers = [line.split()[-1] for line in before if line.startswith(f"service {service} /ready")]
        assert answers == ["503", "503", "503", "200"]
    first_ray = next(index for index, line in enumerate(log) if line.startswith("ray"))
    assert max(index for index, line in enumerate(log) if line.startswith("service")) < first_ray
    # Node 1 is the head, node 2 scores, nodes 3 and 4 are Ray's workers.
    assert [line for line in before if line.startswith("ray")] == [
        "ray start --head --node-ip-address=127.0.0.1 --port=6379 --num-gpus=4 --disable-usage-stats --block",
        "ray start --address=127.0.0.1:6379 --num-gpus=4 --disable-usage-stats --block",
        "ray start --address=127.0.0.1:6379 --num-gpus=4 --disable-usage-stats --block",
    ]
    starts = [line.split(":")[0] for line in log if line.startswith("srun")]
    starts[3:5] = sorted(starts[3:5])  # these two start together
    nodes = ["127.0.0.2", "127.0.0.2", "127.0.0.1", "127.0.0.3", "127.0.0.4", "127.0.0.1"]
    assert starts == [f"srun {node}" for node in nodes]
    words = shlex.split(log[trainer])
    assert words[words.index("--config-name") + 1] == "radvlm_instruct_radcliq"
    assert {"trainer.nnodes=3", "trainer.n_gpus_per_node=4", "trainer.save_freq=5"} <= set(words)
    assert f'course.reward_service=["http://127.0.0.2:{port}","http://127.0.0.2:{port + 1}"]' in log[trainer]
    assert log[trainer + 1] == "address 127.0.0.1:6379"
    assert not job.alive()


def test_the_services_are_told_which_reward_and_which_gpu_and_no_command_line_holds_the_token(cluster):
    job = cluster(2)
    status, told = job.run("verl_grpo.sbatch", VARIANT="radvlm_instruct_bertscore", RADVLM_COURSE_REWARD_TOKEN="s" * 20)
    assert status == 0, told
    services = sorted(line for line in job.lines("srun 127.0.0.2") if "serve-rewards" in line)
    assert ["CUDA_VISIBLE_DEVICES=0" in services[0], "CUDA_VISIBLE_DEVICES=1" in services[1]] == [True, True]
    assert all("--rewards bertscore --host 0.0.0.0" in line for line in services)
    assert "s" * 20 not in job.log.read_text() + told


def test_a_reward_without_a_model_needs_no_service_and_every_node_trains(cluster):
    job = cluster(2)
    status, told = job.run("verl_grpo.sbatch", VARIANT="radvlm_instruct_google_bleu")
    assert status == 0, told
    assert not job.lines("service") and len(job.lines("ray start")) == 2
    assert "trainer.nnodes=2" in job.lines("trainer")[0] and "reward_service" not in job.lines("trainer")[0]


def test_a_trainer_that_fails_gives_its_status_and_takes_everything_with_it(cluster):
    job = cluster(3)
    status, told = job.run("verl_grpo.sbatch", TRAINER="exit 7")
    assert status == 7, told
    assert len(job.pids.read_text().split()) == 4 and not job.alive()


def test_a_service_that_cannot_load_ends_the_job_before_anything_trains(cluster):
    job = cluster(3)
    status, told = job.run("verl_grpo.sbatch", SERVICE_DIES="1")
    assert status == 1 and "a process ended before the reward service" in told
    assert not job.lines("ray") and not job.lines("trainer") and not job.alive()


def test_a_service_that_is_never_ready_is_given_up(cluster):
    job = cluster(3)
    status, told = job.run("verl_grpo.sbatch", WAITS="100000", READY_SECONDS="2")
    assert status == 1 and "was not ready within 2 s" in told
    assert not job.lines("trainer") and not job.alive()


def test_slurms_signal_ends_everything(cluster):
    job = cluster(3)
    process = job.start("verl_grpo.sbatch", TRAINER="exec sleep 600")
    job.wait_for("trainer")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 143 and not job.alive()


def test_a_service_that_ends_while_training_ends_the_job(cluster):
    job = cluster(3)
    process = job.start("verl_grpo.sbatch", TRAINER="exec sleep 600")
    job.wait_for("trainer")
    subprocess.run(["kill", job.pids.read_text().split()[0]], check=True)  # the first service
    told = process.communicate(timeout=60)[0]
    assert process.returncode == 1 and "ended while training" in told and not job.alive()


@pytest.mark.parametrize(
    ("nodes", "settings", "message"),
    [
        (1, {}, "needs a node for the rewards and at least one to train, found 1"),
        (3, {"VARIANT": "radvlm_imagined"}, "radvlm_imagined.yaml, found none"),
        (3, {"SLURM_JOB_NODELIST": ""}, "submit it with sbatch"),
        (3, {"VERL_PYTHON": "nowhere/python"}, "expected nowhere/python, found none"),
    ],
)
def test_what_cannot_work_is_said_before_anything_starts(cluster, nodes, settings, message):
    job = cluster(nodes)
    status, told = job.run("verl_grpo.sbatch", **settings)
    assert status == 1 and message in told and not job.lines()


@pytest.mark.slow
def test_the_real_service_is_awaited_and_scores_for_the_trainer(cluster, tmp_path):
    """The trainer's stand-in calls our function as verl does, with the addresses that the script gave it."""
    job = cluster(2)
    score = tmp_path / "score.py"
    score.write_text(
        "import json, os, sys\n"
        "from radvlm_course.rewards.verl_adapter import compute_score\n"
        "words = dict(word.split('=', 1) for word in sys.argv if '=' in word)\n"
        "urls = json.loads(words['course.reward_service'])\n"
        "text, row = 'No effusion.', {'id': 'a'}\n"
        "told = compute_score('mimic_grpo', text, text, row, rewards='gleu', service={'url': urls})\n"
        "open(os.environ['LOG'], 'a').write(f\"scored {told['score']} by {len(urls)}\\n\")\n"
    )
    status, told = job.run(
        "verl_grpo.sbatch", REWARDS="gleu", COURSE_PYTHON=sys.executable, TRAINER=f'{sys.executable} {score} "$@"'
    )
    assert status == 0, told
    assert job.lines("scored") == ["scored 1.0 by 2"]
    assert "serving gleu on http://0.0.0.0" in told


@pytest.mark.parametrize(("nodes", "accumulated"), [(8, 2), (16, 1)])
def test_sft_keeps_the_papers_batch_on_any_number_of_nodes(cluster, nodes, accumulated):
    job = cluster(nodes)
    job.environment["ACCELERATE_CONFIG"] = str(job.log)  # any file that is there
    status, told = job.run("sft.sbatch", "--set", "sft.trainer.save_steps=100")
    assert status == 0, told
    (line,) = job.lines("course")
    words = line.split()
    launch, stage = words[: words.index("radvlm_course")], words[words.index("radvlm_course") :]
    assert launch[-3:] == ["--machine_rank", "0", "-m"]
    assert ["--num_machines", str(nodes), "--num_processes", str(nodes * 4)] == launch[
        launch.index("--num_machines") :
    ][:4]
    assert launch[launch.index("--main_process_ip") + 1] == "127.0.0.1"
    assert stage[:2] == ["radvlm_course", "sft"]
    changes = dict(parse_override(stage[index + 1]) for index, word in enumerate(stage) if word == "--set")
    profile = load_profile("paper", changes)
    check_batches(profile, nodes * 4, "the script's settings")
    trainer = profile.sft.trainer
    assert trainer["gradient_accumulation_steps"] == accumulated and trainer["save_steps"] == 100
    assert trainer["per_device_train_batch_size"] * accumulated * nodes * 4 == 512
    assert (float(trainer["learning_rate"]), trainer["num_train_epochs"]) == (1e-5, 2)


def test_sft_refuses_a_number_of_gpus_that_does_not_divide_the_batch(cluster):
    job = cluster(3)
    job.environment["ACCELERATE_CONFIG"] = str(job.log)
    status, told = job.run("sft.sbatch")
    assert status == 1 and "12 GPUs with 8 pairs each take 96 at once, which does not divide 512" in told


def test_predict_gives_every_process_a_gpu_and_a_share(cluster):
    job = cluster(1)
    status, told = job.run("predict.sbatch", "--thinking", MODEL="m", EXAMPLES="e.jsonl", OUTPUT="o", SLURM_NTASKS="4")
    assert status == 0, told
    assert job.lines("course") == [
        "course -m radvlm_course evaluate predict --model m --examples e.jsonl --output o --profile paper "
        "--engine vllm --thinking --shard 0/4"
    ]
    assert "CUDA_VISIBLE_DEVICES=$SLURM_LOCALID" in job.lines("srun")[0]
