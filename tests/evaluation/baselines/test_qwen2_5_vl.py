import pytest
from PIL import Image

from radvlm_course.evaluation.baselines.base import Generation
from radvlm_course.evaluation.baselines.deepmedix_r1 import DeepMedixR1
from radvlm_course.evaluation.baselines.loading import LoadOptions
from radvlm_course.evaluation.baselines.qwen2_5_vl import ImageOnlyQwen2_5VLProcessor, load_qwen2_5_vl


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory):
    return tiny.qwen2_5_vl(tmp_path_factory.mktemp("qwen2_5_vl"))


@pytest.mark.parametrize("image_processor", ["Qwen2VLImageProcessor", "Qwen2VLImageProcessorFast"])
@pytest.mark.parametrize("template_in", ["chat_template.jinja", "chat_template.json", "tokenizer_config.json"])
def test_layouts_of_real_repositories_load_without_torchvision_and_answer(
    image_processor, template_in, tiny, tmp_path, ask
):
    folder = tiny.qwen2_5_vl(tmp_path, image_processor, template_in)
    loaded = load_qwen2_5_vl(folder, LoadOptions(), max_pixels=56 * 56)
    assert isinstance(loaded.processor, ImageOnlyQwen2_5VLProcessor)
    (completion,) = DeepMedixR1().answer(loaded, [ask("report_generation")], Generation(4))
    assert completion.finish_reason in ("stop", "length")


def test_a_large_film_is_shrunk_to_the_limit_of_pixels(folder):
    processor = load_qwen2_5_vl(folder, LoadOptions(), max_pixels=56 * 56).processor
    grid = processor.image_processor([Image.new("RGB", (500, 500))], return_tensors="pt")["image_grid_thw"]
    assert grid.tolist() == [[1, 4, 4]]


def test_a_saved_processor_loads_again(folder, tmp_path):
    ImageOnlyQwen2_5VLProcessor.from_pretrained(folder).save_pretrained(tmp_path)
    assert ImageOnlyQwen2_5VLProcessor.from_pretrained(tmp_path).image_token == "<|image_pad|>"
