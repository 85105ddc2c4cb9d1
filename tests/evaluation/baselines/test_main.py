import pytest

from radvlm_course.evaluation.baselines.__main__ import main
from radvlm_course.evaluation.baselines.tables import PARTS, supports_text


def test_a_part_that_was_asked_for_is_printed_alone(capsys):
    main(["supports"])
    assert capsys.readouterr().out == supports_text()


def test_without_a_part_all_are_printed(capsys):
    main([])
    assert capsys.readouterr().out == "\n".join(write() for write in PARTS.values())


def test_an_unknown_part_is_refused(capsys):
    with pytest.raises(SystemExit):
        main(["prices"])
    assert "invalid choice" in capsys.readouterr().err
