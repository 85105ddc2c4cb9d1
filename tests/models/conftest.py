"""A freshly initialised tiny model and its processor, shared by the tests of this folder."""

import pytest

TEXTS = [
    "Where is the nodule?",
    "There is a large left pleural effusion. No pneumothorax.",
    "[0.38, 0.47, 0.76, 0.62] and [0.10, 0.20, 0.30, 0.40]",
    "Write a report.",
]


@pytest.fixture(scope="session")
def tokenizer():
    from radvlm_course.models.tokenizer import train_tokenizer

    return train_tokenizer(TEXTS, vocabulary_size=400)


@pytest.fixture(scope="session")
def settings():
    from radvlm_course.models.tiny import TinySettings

    return TinySettings(image_size=64, vision_hidden_size=64, text_hidden_size=64, text_heads=2, text_key_value_heads=1)


@pytest.fixture
def model(tokenizer, settings):
    from radvlm_course.models.tiny import build_tiny_model

    return build_tiny_model(tokenizer, settings, seed=0)


@pytest.fixture(scope="session")
def processor(tokenizer, settings):
    from radvlm_course.models.processor import build_processor

    return build_processor(tokenizer, settings.image_size, settings.patch_size)


@pytest.fixture(scope="session")
def films():
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 256, (64, 64), dtype=np.uint8)).convert("RGB") for _ in range(3)]
