"""The paper's tables in Markdown and LaTeX: every row, bold as printed, signs escaped, n with every number of ours."""

import re

import pytest

from radvlm_course.evaluation.beside_paper import OurScores, beside_paper
from radvlm_course.evaluation.paper_text import column_heading, escaped_latex, to_latex, to_markdown
from radvlm_course.evaluation.published import TABLES, load_table
from radvlm_course.evaluation.statistics import Interval

TASK = "abnormality_grounding"


def side(*rows, number=2):
    return beside_paper(
        load_table(number),
        [
            OurScores(
                name, {TASK: {"map50_paper": Interval((low + high) / 2, low, high, 1480, 160)}}, {TASK: ("phantom",)}
            )
            for name, low, high in rows
        ],
    )


def lines(text, start):
    return [line for line in text.splitlines() if line.startswith(start)]


def test_a_line_of_the_paper_and_a_line_of_ours_in_markdown():
    text = to_markdown(side(("a|b_c", 0.30, 0.37), ("d", 0.5, 0.6)))
    assert (
        "| model | from | Anatomy, % ↑ | Abnormality, % ↑ | Phrase (MS-CXR), % ↑ | Phrase (PadChest-GR), % ↑ |" in text
    )
    assert "| examples | paper | 2,000 | 2,108 | 189 | n/a |" in text
    assert "| RadVLM-Thinking+RL | paper | **84.9** | 43.9 | 86.4 | 60.5 |" in text
    assert "| a\\|b_c | ours: phantom | n/a | 33.5 [30.0, 37.0], n = 1,480, place 2 | n/a | n/a |" in text
    assert "| d | ours: phantom | n/a | **55.0** [50.0, 60.0], n = 1,480, place 1 | n/a | n/a |" in text
    assert "2512.10691" in text and "nothing is ranked against them" in text


def test_the_same_lines_in_latex():
    text = to_latex(side(("a|b_c", 0.30, 0.37), ("d", 0.5, 0.6)))
    assert "model & Anatomy, \\% $\\uparrow$ & Abnormality, \\% $\\uparrow$ &" in text
    assert "RadVLM-Thinking+RL & \\textbf{84.9} & 43.9 & 86.4 & 60.5 \\\\" in text
    cell = "33.5 {\\scriptsize {[}30.0, 37.0], n = 1,480, place 2}"
    assert f"a\\textbar{{}}b\\_c (ours: phantom) & n/a & {cell} & n/a & n/a \\\\" in text
    assert "\\textbf{55.0} {\\scriptsize {[}50.0, 60.0], n = 1,480, place 1}" in text


@pytest.mark.parametrize("number", TABLES)
def test_latex_is_well_formed(number):
    text = to_latex(side(number=number))
    columns = len(load_table(number).columns)
    assert [text.count(name) for name in ("\\toprule", "\\midrule", "\\bottomrule")] == [1, 1, 1]
    assert text.count("\\begin{") == text.count("\\end{") == 3
    rows = [line for line in text.splitlines() if line.endswith(" \\\\")]
    assert len(rows) == 2 + len(load_table(number).rows)
    assert {len(re.findall(r"(?<!\\)&", row)) for row in rows} == {columns}
    assert re.search(rf"begin{{tabular}}{{lr{{{columns}}}}}", text)
    plain = re.sub(r"\\.", "", text)
    assert plain.count("{") == plain.count("}")
    assert text.isascii()


def test_the_metric_that_was_the_reward_carries_a_star():
    assert "| BERTScore | paper | 29.0 | **61.6**\\* | 56.5 |" in to_markdown(side(number=3))
    assert "BERTScore & 29.0 & \\textbf{61.6}$^{*}$ & 56.5 &" in to_latex(side(number=3))
    assert "20.1\\* |" in to_markdown(side(number=3))


def test_without_rows_of_ours_nothing_is_said_of_them():
    for text in (to_markdown(side()), to_latex(side())):
        assert "Our rows" not in text and "ours" not in text


def test_no_place_leaves_a_number_unmarked():
    (line,) = lines(to_markdown(side(("d", 0.5, 0.6))), "| d ")
    assert line == "| d | ours: phantom | n/a | 55.0 [50.0, 60.0], n = 1,480 | n/a | n/a |"
    assert "**" not in line


def test_every_sign_that_latex_would_read_is_escaped():
    assert escaped_latex("50% of A&B_c #1 ${x}$ a^b~c\\d") == (
        "50\\% of A\\&B\\_c \\#1 \\$\\{x\\}\\$ a\\textasciicircum{}b\\textasciitilde{}c\\textbackslash{}d"
    )
    assert escaped_latex('[a] *b* "c" <d>\ne') == "{[}a] {*}b{*} ''c'' \\textless{}d\\textgreater{} e"


def test_headings_name_unit_and_direction():
    columns = load_table(1).columns
    assert column_heading(columns["size_b"]) == "size, B"
    assert column_heading(columns["radcliq"]) == "RadCliQ ↓"
