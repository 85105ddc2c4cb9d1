import json

from radvlm_course.models.loading import load_processor
from radvlm_course.models.vllm_folder import has_video_settings, mirrored_for_vllm


def test_a_mirror_has_links_to_the_weights_and_its_own_settings(tiny_folder):
    processor = load_processor(tiny_folder, 24 * 24)
    with mirrored_for_vllm(tiny_folder, processor, "bfloat16") as mirror:
        assert (mirror / "model.safetensors").samefile(tiny_folder / "model.safetensors")
        assert json.loads((mirror / "config.json").read_text())["dtype"] == "bfloat16"
        settings = json.loads((mirror / "processor_config.json").read_text())["image_processor"]
        assert settings["size"] == {"shortest_edge": 576, "longest_edge": 576}
        assert settings["patch_size"] == 8
        assert has_video_settings(mirror) and not has_video_settings(tiny_folder)
        again = load_processor(mirror)
        assert again.image_processor.size["longest_edge"] == 576
    assert not mirror.exists()
    assert json.loads((tiny_folder / "config.json").read_text())["dtype"] == "float32"


def test_settings_of_images_in_a_file_of_their_own_are_changed_there(tiny_folder, tmp_path):
    images = json.loads((tiny_folder / "processor_config.json").read_text())["image_processor"]
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(images))
    (tmp_path / "video_preprocessor_config.json").write_text("{}")
    with mirrored_for_vllm(tmp_path, load_processor(tiny_folder, 576)) as mirror:
        assert json.loads((mirror / "preprocessor_config.json").read_text())["size"]["longest_edge"] == 576
        assert (mirror / "video_preprocessor_config.json").samefile(tmp_path / "video_preprocessor_config.json")


def test_the_precision_stays_as_it_is_unless_one_is_asked_for(tiny_folder):
    with mirrored_for_vllm(tiny_folder, load_processor(tiny_folder)) as mirror:
        assert json.loads((mirror / "config.json").read_text()) == json.loads((tiny_folder / "config.json").read_text())
