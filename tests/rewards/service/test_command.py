"""The command line of the reward service."""

import subprocess
import sys

import pytest

from radvlm_course.cli import build_parser, main
from radvlm_course.rewards.service.command import rewards_with_options


def test_names_and_options_are_read() -> None:
    assert rewards_with_options("gleu, soft_f1", ["soft_f1.variant=published"]) == {
        "gleu": {},
        "soft_f1": {"variant": "published"},
    }


@pytest.mark.parametrize(
    ("names", "overrides", "message"),
    [
        ("", [], "joined by commas"),
        ("gleu,gleu", [], "different names"),
        ("gleu,xyz", [], "unknown reward xyz: expected some of .*gleu"),
        ("gleu", ["rouge_l.x=1"], r"an option of gleu like gleu\.option=1"),
        ("gleu", ["gleu=1"], "an option of gleu"),
        ("gleu", ["gleu.x"], "expected an override"),
    ],
)
def test_wrong_names_and_options_are_refused_with_the_reason(names, overrides, message) -> None:
    with pytest.raises(ValueError, match=message):
        rewards_with_options(names, overrides)


def test_it_serves_this_machine_only_unless_told_otherwise() -> None:
    options = build_parser().parse_args(["serve-rewards", "--rewards", "gleu"])
    assert (options.host, options.port, options.token_file) == ("127.0.0.1", 9400, None)


def test_there_is_no_option_for_the_token_itself(capsys) -> None:
    with pytest.raises(SystemExit):
        main(["serve-rewards", "--rewards", "gleu", "--token", "secret"])
    assert "--token" in capsys.readouterr().err


def test_a_wrong_request_ends_with_a_reason_not_a_traceback(capsys) -> None:
    assert main(["serve-rewards", "--rewards", "no_such_reward"]) == 1
    assert "unknown reward no_such_reward" in capsys.readouterr().err
    assert main(["serve-rewards", "--rewards", "gleu", "--queue-pairs", "2"]) == 1
    assert "would never fit" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("missing", "code"),
    [
        ("fastapi", "from radvlm_course.cli import main; sys.exit(main(['serve-rewards', '--rewards', 'gleu']))"),
        (
            "httpx",
            "from radvlm_course.rewards.service.client import RemoteReward; RemoteReward('http://127.0.0.1:1', 'gleu')",
        ),
    ],
)
def test_a_missing_package_is_named_with_the_extra_to_install(missing, code) -> None:
    code = f"import sys; sys.modules[{missing!r}] = None\n{code}"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert f"needs the package {missing}: install the extra" in ended.stderr
