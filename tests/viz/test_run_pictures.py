from radvlm_course.boxes import Box
from radvlm_course.records import Example
from radvlm_course.viz.run_pictures import pick_evenly

CORNER = (Box(0, 0, 0.5, 0.5),)


def example(identifier, label, film, boxes=CORNER):
    return Example(identifier, "abnormality_grounding", film, "q", "a", boxes=boxes, labels=(label,))


def test_labels_take_turns_and_films_differ_where_they_can():
    examples = [
        example("1", "edema", "a.png"),
        example("2", "edema", "b.png"),
        example("3", "nodule", "a.png"),
        example("4", "nodule", "c.png"),
    ]
    assert [e.id for e in pick_evenly(examples, 2)] == ["1", "4"]
    assert [e.id for e in pick_evenly(examples, 10)] == ["1", "4", "2", "3"]


def test_examples_without_boxes_are_not_picked():
    assert pick_evenly([example("1", "edema", "a.png", boxes=())], 3) == []
