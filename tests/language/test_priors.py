"""References to earlier studies: sentences written by hand, with the rule that must find each, and innocent ones."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radvlm_course.language.priors import find_prior_references, prior_rules
from radvlm_course.phantoms.film import plan_film

# Rule -> sentences in which it, at least, must fire.
REFERENCES = {
    "compared": [
        "Compared to the prior radiograph, the effusion is larger.",
        "In comparison with the study of ___, there is little change.",
        "As compared\nto the previous exam, no relevant change.",  # reports wrap their lines
        "No comparison films are available.",
        "COMPARISON: None.",
    ],
    "prior_study": [
        "The nodule was seen on the most recent chest CT.",
        "The last radiograph showed a small effusion.",
        "Old films would be helpful.",
        "The catheter is new from an outside hospital study.",
    ],
    "prior": [
        "Similar to prior.",
        "Lower lung volumes than on the previous examination.",
        "The PICC line seen on the prior film is gone.",
        "Findings are unchanged from priors.",
        "Prior sternotomy film is not available.",
    ],
    "previously": ["The previously seen right apical pneumothorax is not visible.", "Nodule, as previously described."],
    "unchanged": ["The cardiomediastinal silhouette is unchanged.", "The effusion has not significantly changed."],
    "change": [
        "No change.",
        "There has been no significant interval change.",
        "Mild nodular prominence of the right hilum, without significant change.",
        "Little change in the bibasilar opacities.",
        "There is a change in position of the tube.",
    ],
    "interval": [
        "Interval removal of the endotracheal tube.",
        "Interval increase in the left effusion.",
        "Edema cleared in the interim.",
    ],
    "stable": [
        "Stable cardiomegaly.",
        "The mediastinal contours are stable.",
        "Postsurgical changes, stable.",
        "Tubes in constant position.",
    ],
    "no_new": ["No new focal consolidation.", "There is no evidence of new infiltrate.", "Without new opacities."],
    "new": [
        "New left basilar opacity.",
        "There is a new line in the right internal jugular vein.",
        "A newly placed feeding tube ends in the stomach.",
    ],
    "again": ["Again seen is a large hiatal hernia.", "Left base opacities again noted.", "Re-demonstrated scarring."],
    "remains": ["The heart remains enlarged.", "The lungs remain hyperinflated."],
    "persistent": ["Persistent left lower lobe collapse.", "The right effusion persists."],
    "continued": ["Continued opacification of the left base.", "The lungs continue to be hyperinflated."],
    "still": ["A small pneumothorax is still present.", "There are still low lung volumes, which are still low."],
    "now": ["The tube now terminates above the carina.", "The right lung is now clear."],
    "no_longer": ["The left effusion is no longer visible."],
    "since": [
        "Edema has cleared since ___.",
        "Since the prior study the tube was advanced.",
        "Since yesterday, worse.",
    ],
    "improved": ["Aeration of the left base has improved.", "Improving edema.", "Improvement in right lung disease."],
    "worsened": ["Worsening pulmonary edema.", "Consolidation has progressed.", "Evolving pneumonia."],
    "worse": ["The edema is worse.", "Opacities look worse than before."],
    "resolved": ["The pneumothorax has resolved.", "Resolving pneumonia.", "There has been clearing of the left base."],
    "grown": [
        "The effusion has slightly increased.",
        "Increasing upper mediastinal mass.",
        "Increased size of the left pneumothorax.",
        "Slight decrease in the right effusion.",
        "Lung volumes are larger than before.",
        "Decrease of the right effusion.",
        "The effusion has become large.",
    ],
    "developed": ["A right effusion has developed.", "Development of a small effusion.", "Recurrent pneumothorax."],
    "line_moved": [
        "The central venous line has been removed.",
        "The patient has been extubated.",
        "Status post chest tube removal.",
        "The patient has received a nasogastric tube.",
    ],
    "earlier_time": [
        "Hiatal hernia as before.",
        "Two days ago the lungs were clear.",
        "Edema is less than at baseline.",
    ],
    "dated": ["Cardiomegaly, as on 12/03/2011.", "Opacities from ___ are visible."],
    "similar": [
        "The nodule is similar in size.",
        "The cardiac silhouette appears similar.",
        "Lines in similar position.",
    ],
    "other_study": ["Emphysema is better seen on CT.", "The nodule identified on the recent CT is not visible."],
}

# What one film can show, or what points ahead: none of these refers to an earlier study.
INNOCENT = [
    "The lungs are clear.",
    "There is no focal consolidation, pleural effusion or pneumothorax.",
    "Lung volumes are decreased, with crowding of the vessels.",
    "Increased interstitial markings in both bases.",
    "Increased opacity in the right upper lobe may represent consolidation.",
    "Hyperexpanded lungs with increased retrosternal clear space suggest emphysema.",
    "Degenerative changes of the thoracic spine.",
    "There is no significant degenerative change.",
    "Chronic changes of emphysema and left basilar scarring.",
    "Widespread changes from cystic fibrosis.",
    "Minimal changes of emphysema.",
    "No cavitary lung changes to suggest active tuberculosis.",
    "Postsurgical changes after right upper lobectomy.",
    "Evidence of prior granulomatous disease.",
    "Sternotomy wires and clips from prior coronary artery bypass surgery.",
    "Scattered densities throughout the chest from prior gunshot wound.",
    "Previous right rib fractures, healed.",
    "Old healed rib fractures on the left.",
    "Metallic density: jewelry should be taken off prior to MRI.",
    "Chronic blunting of the left costophrenic angle.",
    "Bilateral effusions, right worse than left.",
    "Opacities are worse on the right.",
    "The left effusion is greater than on the right.",
    "The left hilum is prominent compared to the right.",
    "Lucency of the left lung in comparison with the contralateral side.",
    "Persistent left superior vena cava is a possible explanation of the course of the line.",
    "The remaining lungs are clear, and the remainder of the study is normal.",
    "Pneumonia remains a diagnostic consideration.",
    "High-resolution CT could help.",
    "Follow-up to ensure resolution is recommended.",
    "A follow-up radiograph in six weeks should document resolution.",
    "Short-interval follow-up is recommended.",
    "A follow-up examination is advised to confirm stability.",
    "The findings could be better characterized on CT.",
    "The tube should be advanced by 3 cm.",
    "The catheter should be removed.",
    "Progressive massive fibrosis in the upper lobes.",
    "Elevation of the left hemidiaphragm suggests a recurrent laryngeal nerve palsy as well.",
    "Visualization would be improved by a lateral view.",
    "This may be developing pneumonia.",
    "Right convex scoliosis with unstable appearance.",
    "The heart is not enlarged, since the cardiothoracic ratio is below one half.",
    "Now, what about the bones?",
    "Could you explain that again?",
    "Please write each finding on a new line.",
    "I still do not understand what blunting means.",
    "The lungs look similar on both sides.",
    "The patient was hemodynamically stable.",
    "Newborn with a normal chest.",
    "The wires are intact.",
    "If symptoms persist, please see a doctor.",
    "Mild cardiomegaly is present, measuring 1.2 x 3.4 cm at 12/18.",
    "The box is at [0.38, 0.47, 0.76, 0.62].",
]


@pytest.mark.parametrize(("rule", "sentence"), [(rule, text) for rule, texts in REFERENCES.items() for text in texts])
def test_a_reference_to_an_earlier_study_is_found_by_its_rule(rule: str, sentence: str) -> None:
    assert rule in {reference.rule for reference in find_prior_references(sentence)}


@pytest.mark.parametrize("sentence", INNOCENT)
def test_what_one_film_can_show_is_not_taken_for_a_reference(sentence: str) -> None:
    assert find_prior_references(sentence) == []


def test_every_rule_has_sentences() -> None:
    assert set(REFERENCES) == {rule.name for rule in prior_rules()}
    assert len(prior_rules()) == len(REFERENCES)


def test_the_sentence_and_the_words_are_named() -> None:
    text = "The heart is normal.\n\nThe right\neffusion has been  unchanged. No pneumothorax."
    assert find_prior_references(text) == [("unchanged", "unchanged", "The right effusion has been unchanged.")]


def test_one_sentence_may_hold_several_references() -> None:
    found = find_prior_references("Interval placement of a new line, compared to the prior study.")
    assert {reference.rule for reference in found} == {"interval", "new", "compared", "prior"}


def test_typographic_apostrophes_and_hyphens_are_read() -> None:
    assert [reference.rule for reference in find_prior_references("Today\u2019s film; re\u2011demonstrated.")] == [
        "again",
        "earlier_time",
    ]


def test_a_rule_can_be_ignored_and_a_rule_that_does_not_exist_cannot() -> None:
    assert find_prior_references("No new effusion.", ignore=("no_new",)) == []
    with pytest.raises(ValueError, match="no_news"):
        find_prior_references("No new effusion.", ignore=("no_news",))


def test_reports_of_the_phantom_corpus_are_innocent() -> None:
    reports = [plan_film(seed).report for seed in range(40)]
    assert len(set(reports)) > 30
    assert [find_prior_references(report) for report in reports] == [[]] * 40


@settings(deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=300))
def test_any_text_is_read_without_error(text: str) -> None:
    for reference in find_prior_references(text):
        assert reference.words in reference.sentence


@settings(deadline=None)
@given(st.sampled_from([text for texts in REFERENCES.values() for text in texts]), st.sampled_from(INNOCENT))
def test_innocent_sentences_around_a_reference_do_not_hide_it(reference: str, innocent: str) -> None:
    alone = {(found.rule, found.words) for found in find_prior_references(reference)}
    together = {(found.rule, found.words) for found in find_prior_references(f"{innocent} {reference} {innocent}")}
    assert alone <= together
