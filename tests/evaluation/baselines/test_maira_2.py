import pytest

from radvlm_course.boxes import BoxError, parse_boxes, scan_boxes
from radvlm_course.evaluation.baselines.base import Generation
from radvlm_course.evaluation.baselines.maira_2 import Maira2, film_box, film_size
from radvlm_course.evaluation.baselines.predicting import complete
from radvlm_course.images import ImageReadError
from radvlm_course.rewards.soft_f1 import claims_nothing

# Recorded format; the film is 200 x 100 pixels, so the square is 100 wide and begins at pixel 50.
ONE = "<obj>Pleural effusion. <box><x10><y20><x55><y80></box></obj>"
TWO = "<obj>Effusion. <box><x0><y20><x30><y80></box><box><x60><y20><x99><y80></box></obj>"
SEVERAL = f"{ONE}<obj>No pneumothorax.</obj><obj>Nodule. <box><x70><y10><x80><y30></box></obj>"


def test_a_box_of_the_central_square_is_mapped_back_to_the_film(ask):
    # x: (50 + 10.5) / 200 and (50 + 55.5) / 200; y: 20.5 / 100 and 80.5 / 100
    assert Maira2().parse(ONE, ask("phrase_grounding")) == "[0.3025, 0.2050, 0.5275, 0.8050]"


def test_the_paper_cuts_corners_to_whole_pixels_and_two_decimals(ask):
    # 60.5 -> 60 -> 0.30; 105.5 -> 105 -> 0.525 -> 0.53; 20.5 -> 20 -> 0.20; 80.5 -> 80 -> 0.80
    assert Maira2("paper").parse(ONE, ask("phrase_grounding")) == "[0.30, 0.20, 0.53, 0.80]"


@pytest.mark.parametrize(
    ("size", "expected"),
    [((100, 100), (0.105, 0.205, 0.555, 0.805)), ((100, 200), (0.105, 0.3525, 0.555, 0.6525))],
)
def test_square_and_upright_films_are_mapped_by_their_own_shape(size, expected):
    assert film_box((10, 20, 55, 80), size).to_list() == pytest.approx(expected)


def test_an_odd_margin_is_halved_downwards_as_a_centre_crop_does():
    assert film_box((0, 0, 99, 99), (103, 100)).x1 == pytest.approx(1.5 / 103)  # (103 - 100) // 2 = 1, and half a bin


def test_a_bin_beyond_the_hundredth_is_no_box_even_where_the_film_is_wider_than_the_square():
    with pytest.raises(BoxError, match="expected bins of 0 to 99"):
        film_box((10, 20, 110, 80), (200, 100))


def test_the_paper_takes_the_first_phrase_only_and_the_corrected_variant_all(ask):
    example = ask("phrase_grounding")
    assert len(parse_boxes(Maira2("paper").parse(SEVERAL, example))) == 1
    assert len(parse_boxes(Maira2().parse(SEVERAL, example))) == 2
    assert len(parse_boxes(Maira2("paper").parse(TWO, example))) == len(parse_boxes(Maira2().parse(TWO, example))) == 2


@pytest.mark.parametrize(
    "broken",
    [
        "<box><x55><y20><x10><y80></box>",
        "<box><x10><y20><x110><y80></box>",
        "<box><x10><y20><x10><y80></box><",
        "<box><x10><x20><y30><y40></box>",
        "<box><x10><y20><x30></box>",
        "<box></box>",
    ],
)
def test_a_broken_box_costs_itself_and_in_the_paper_the_whole_answer(broken, ask):
    text = f"<obj>Effusion. <box><x0><y20><x30><y80></box>{broken}</obj>"
    found, malformed = scan_boxes(Maira2().parse(text, ask("phrase_grounding")))
    assert (len(found), len(malformed)) == (1, 1)
    assert Maira2("paper").parse(text, ask("phrase_grounding")) == ""


@pytest.mark.parametrize("length", range(1, len(ONE)))
def test_an_answer_cut_off_anywhere_is_the_box_a_malformed_box_or_words(length, ask):
    cut = ONE[:length]
    found, malformed = scan_boxes(Maira2().parse(cut, ask("phrase_grounding")))
    whole = length >= ONE.index("<y80>") + len("<y80>")
    assert (len(found), len(malformed)) == (1, 0) if whole else (0, int("<box>" in cut))
    assert Maira2("paper").parse(cut, ask("phrase_grounding")) == ""


def test_a_phrase_without_a_box_says_that_there_is_nothing_to_mark(ask):
    response = Maira2().parse("<obj>No pleural effusion.</obj>", ask("phrase_grounding"))
    assert response == "No pleural effusion."
    assert claims_nothing(response)


def test_detection_asks_for_a_grounded_report_and_reads_all_its_boxes(ask):
    example = ask("abnormality_detection")
    assert Maira2().prompt(example) == ""
    assert len(parse_boxes(Maira2("paper").parse(SEVERAL, example))) == 2


def test_a_report_has_no_tags_and_no_coordinates(ask):
    assert Maira2().parse(" The heart is normal.", ask("report_generation")) == "The heart is normal."
    assert Maira2().parse(SEVERAL, ask("report_generation")) == "Pleural effusion. No pneumothorax. Nodule."


def test_the_corrected_variant_asks_with_a_sentence_and_the_paper_with_the_label(ask):
    assert Maira2().prompt(ask("abnormality_grounding", "pleural effusion")) == "Pleural effusion."
    assert Maira2().prompt(ask("abnormality_grounding", "ILD")) == "ILD."
    assert Maira2().prompt(ask("phrase_grounding", "Nodule on the left.")) == "Nodule on the left."
    assert Maira2("paper").prompt(ask("abnormality_grounding", "pleural effusion")) == "pleural effusion"


def test_the_size_of_a_film_that_is_missing_is_asked_for_with_its_path(tmp_path):
    with pytest.raises(ImageReadError, match=r"gone\.png"):
        film_size(str(tmp_path / "gone.png"))


def test_a_small_model_with_code_of_its_own_loads_with_consent_and_answers_each_kind_of_question(
    tiny, no_hub, tmp_path, ask
):
    baseline = Maira2()
    loaded = baseline.load(str(tiny.maira_2(tmp_path)), trust_remote_code=True)
    assert type(loaded.model).__name__ == "Maira2ForConditionalGeneration"
    assert type(loaded.processor).__name__ == "Maira2Processor"
    examples = [ask(task) for task in baseline.tasks]
    completions = list(complete(baseline, loaded, examples, 4, Generation(6)))
    assert len(completions) == len(examples)
    assert completions == [next(complete(baseline, loaded, [example], 1, Generation(6))) for example in examples]
