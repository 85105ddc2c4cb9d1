"""Reports of many shapes, some that no radiologist would write."""

import random

import pytest

from radvlm_course.rewards.random_weights import WORDS

ODD = [
    "a",
    "no",
    "None",
    "no\neffusion\t.",
    "No  Effusion, Severe CARDIOMEGALY",
    "...",
    "😀 no effusion 😀😀",
    "肺 清晰。 心脏 大小 正常",
    "é à ü ßtraße",
    "\x00",
    "\x00 \x07",
    "no \x00\x07 effusion \x01",
    "no effusion\u200b clear",
    "\u200b\u200d",
    "[SEP] heart [CLS] size [PAD] [UNK]",
    "a" * 300,
    "heart /. size /? clear %). 5%, .' \"",
    "-".join(["heart"] * 60),
]


def random_report(rng: random.Random, sentences: int) -> str:
    def word() -> str:
        known = rng.random() < 0.85
        return rng.choice(WORDS) if known else "".join(rng.choices("abcdxyz012", k=rng.randint(1, 9)))

    def sentence() -> str:
        return " ".join(word() for _ in range(rng.randint(1, 14))) + rng.choice([".", "", " .", ";", "?", "..."])

    return " ".join(sentence() for _ in range(sentences))


@pytest.fixture(scope="session")
def reports() -> list[str]:
    """60 texts of 1 to 100 words, and odd ones."""
    rng = random.Random(3)
    return [random_report(rng, rng.randint(1, 8)) for _ in range(60)] + ODD


@pytest.fixture(scope="session")
def long_reports() -> list[str]:
    """Texts beyond the encoders' 512 tokens."""
    rng = random.Random(4)
    words = " ".join(rng.choice(WORDS) for _ in range(700))
    return [words, ". " * 600 + "heart", "-".join(["heart"] * 300), words[:3000] + " xyzxyz" * 100]
