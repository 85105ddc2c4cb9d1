import pytest

from radvlm_course.models.processor import ImageOnlyQwen3VLProcessor

MESSAGES = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Write a report."}]}]


def encode(processor, image):
    text = processor.apply_chat_template(MESSAGES, tokenize=False, add_generation_prompt=True)
    return processor(images=[image], text=[text], return_tensors="pt")


def test_prompt_holds_one_image_token_for_each_merged_2x2_block_of_patches(processor, films):
    inputs = encode(processor, films[0])
    assert inputs["image_grid_thw"].tolist() == [[1, 8, 8]]  # 64 px in patches of 8
    assert (inputs["input_ids"] == processor.image_token_id).sum() == 16
    assert inputs["mm_token_type_ids"].sum() == 16


def test_films_of_another_shape_keep_about_the_same_area(processor, films):
    grid = encode(processor, films[0].resize((300, 200)))["image_grid_thw"][0]
    assert grid[2] > grid[1]
    assert int(grid.prod()) <= 64


def test_saved_processor_loads_with_the_same_encoding(processor, films, tmp_path):
    processor.save_pretrained(tmp_path)
    loaded = ImageOnlyQwen3VLProcessor.from_pretrained(tmp_path)
    first, second = encode(processor, films[0]), encode(loaded, films[0])
    assert {name: value.tolist() for name, value in first.items()} == {
        name: value.tolist() for name, value in second.items()
    }


def test_chat_template_matches_qwens_format(processor):
    text = processor.apply_chat_template(MESSAGES, tokenize=False, add_generation_prompt=True)
    assert text == (
        "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>Write a report.<|im_end|>\n"
        "<|im_start|>assistant\n"
    )


def test_torchvision_is_not_imported():
    import subprocess
    import sys

    code = "import sys, radvlm_course.models.processor; sys.exit('torchvision' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", ["image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id"])
def test_token_ids_are_those_of_the_tokenizer(processor, name):
    token = getattr(processor, name.removesuffix("_id"))
    assert getattr(processor, name) == processor.tokenizer.convert_tokens_to_ids(token)
