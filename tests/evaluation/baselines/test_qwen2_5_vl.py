import pytest
from PIL import Image

from radvlm_course.evaluation.baselines.loading import LoadOptions
from radvlm_course.evaluation.baselines.qwen2_5_vl import ImageOnlyQwen2_5VLProcessor, load_qwen2_5_vl


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory):
    return tiny.qwen2_5_vl(tmp_path_factory.mktemp("qwen2_5_vl"))


def test_the_layout_of_the_real_repository_loads_without_torchvision_and_with_the_limit_of_pixels(folder):
    processor = load_qwen2_5_vl(folder, LoadOptions(), max_pixels=56 * 56).processor
    assert isinstance(processor, ImageOnlyQwen2_5VLProcessor)
    grid = processor.image_processor([Image.new("RGB", (500, 500))], return_tensors="pt")["image_grid_thw"]
    assert grid.tolist() == [[1, 4, 4]]


def test_a_saved_processor_loads_again(folder, tmp_path):
    ImageOnlyQwen2_5VLProcessor.from_pretrained(folder).save_pretrained(tmp_path)
    assert ImageOnlyQwen2_5VLProcessor.from_pretrained(tmp_path).image_token == "<|image_pad|>"
