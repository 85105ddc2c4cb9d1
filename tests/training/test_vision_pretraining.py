import numpy as np
import pytest
import torch
from PIL import Image

from radvlm_course.boxes import Box
from radvlm_course.models.processor import build_processor
from radvlm_course.models.tiny import TinySettings, build_tiny_model
from radvlm_course.models.tokenizer import train_tokenizer
from radvlm_course.records import Study
from radvlm_course.training.vision_pretraining import (
    VisionPretrainingSettings,
    label_names,
    patch_targets,
    pretrain_vision,
)


def study(path="x.png", **boxes):
    return Study(str(path), (64, 64), "p", "s", "test", "train", abnormalities=boxes)


def test_labels_are_all_structures_and_abnormalities_with_a_box_sorted():
    first = Study("a", (1, 1), "p", "s", "test", "train", structures={"spine": (Box(0, 0, 1, 1),)})
    assert label_names([first, study(nodule=(Box(0, 0, 1, 1),))]) == ["nodule", "spine"]


def test_targets_are_in_the_processors_merge_block_order():
    # Top right quarter of a 4x4 grid: rows 0-1, columns 2-3 = the second 2x2 block.
    targets = patch_targets(study(nodule=(Box(0.5, 0.0, 1.0, 0.5),)), ["nodule"], grid=4)
    assert targets.covered[:, 0].tolist() == [0] * 4 + [1] * 4 + [0] * 8
    assert targets.has_box.shape == (4, 1)
    np.testing.assert_allclose(targets.boxes[1, 0], [0.5, 0.0, 1.0, 0.5])


def test_merge_block_order_equals_that_of_the_image_processor():
    pixels = np.zeros((32, 32), dtype=np.uint8)
    pixels[0:8, 16:24] = 255  # patch in row 0, column 2 of a 4x4 grid of 8 px
    processor = build_processor(train_tokenizer(["a"], 300), image_size=32, patch_size=8)
    rows = processor.image_processor([Image.fromarray(pixels).convert("RGB")], return_tensors="pt")["pixel_values"]
    covered = patch_targets(study(nodule=(Box(0.5, 0.0, 0.75, 0.25),)), ["nodule"], grid=4).covered[:, 0]
    assert rows.mean(dim=1).argmax().item() == covered.argmax()
    assert covered.sum() == 1


def test_a_box_smaller_than_a_patch_still_marks_one():
    targets = patch_targets(study(nodule=(Box(0.26, 0.26, 0.27, 0.27),)), ["nodule"], grid=8)
    assert targets.covered.sum() == 1
    assert targets.has_box.sum() >= 1


def test_pretraining_lowers_both_losses_and_is_reproducible(tmp_path):
    rng = np.random.default_rng(0)
    studies = []
    for index in range(16):
        pixels = rng.integers(0, 60, (64, 64), dtype=np.uint8)
        x, y = rng.integers(0, 40, 2)
        pixels[y : y + 20, x : x + 20] = 230
        Image.fromarray(pixels).save(tmp_path / f"{index}.png")
        studies.append(study(tmp_path / f"{index}.png", nodule=(Box.from_pixels(x, y, x + 20, y + 20, (64, 64)),)))
    tokenizer = train_tokenizer(["nodule"], 300)
    processor = build_processor(tokenizer, 64, 8)
    settings = VisionPretrainingSettings(steps=25, batch_size=8, learning_rate=3e-3, log_every=1, warmup_steps=2)

    def train():
        model = build_tiny_model(tokenizer, TinySettings(image_size=64, vision_hidden_size=32, text_hidden_size=32), 0)
        log = []
        pretrain_vision(model, processor, studies, settings, seed=0, log=log.append)
        return model, log

    model, log = train()
    assert log[-1]["cover_loss"] < 0.7 * log[0]["cover_loss"]
    assert log[-1]["box_loss"] < 0.5 * log[0]["box_loss"]
    again, _ = train()
    assert torch.equal(model.model.visual.patch_embed.proj.weight, again.model.visual.patch_embed.proj.weight)


def test_no_boxes_at_all_is_refused():
    with pytest.raises(ValueError, match="expected studies with boxes"):
        pretrain_vision(None, None, [study()], VisionPretrainingSettings(), seed=0)
