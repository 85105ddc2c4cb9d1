import pytest
import torch

from radvlm_course.evaluation.baselines import get_baseline
from radvlm_course.evaluation.baselines.base import Generation
from radvlm_course.evaluation.baselines.generating import answer_together, cut_at_end, end_token_ids, seeded
from radvlm_course.images import ImageReadError

PROMPT = "<start_of_image> findings:"


@pytest.fixture(scope="module")
def gemma(gemma_folder):
    return get_baseline("medgemma_4b_pt").load(str(gemma_folder))


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ([5, 6, 2, 0, 0], ([5, 6], "stop")),
        ([2, 5], ([], "stop")),
        ([5, 6, 7], ([5, 6, 7], "length")),
        ([5, 9, 2], ([5], "stop")),
        ([], ([], "length")),
    ],
)
def test_a_completion_ends_before_the_first_end_token_or_at_the_limit(ids, expected):
    assert cut_at_end(ids, frozenset({2, 9})) == expected


def test_every_end_token_of_the_model_and_of_the_tokenizer_counts(gemma):
    tokens = gemma.processor.tokenizer.convert_ids_to_tokens(
        sorted(end_token_ids(gemma.model, gemma.processor.tokenizer))
    )
    assert set(tokens) == {"<eos>", "<end_of_turn>"}


def test_prompts_of_unequal_length_give_the_same_answers_together_as_alone(gemma, film):
    prompts = [PROMPT, f"{PROMPT} the lungs are clear and there is no pleural effusion", f"A {PROMPT}"]
    greedy = Generation(12)
    together = answer_together(gemma, prompts, [film] * 3, greedy)
    assert together == [answer_together(gemma, [prompt], [film], greedy)[0] for prompt in prompts]
    assert len({completion.text for completion in together}) > 1


def test_settings_that_came_with_the_weights_are_overridden(gemma, film):
    assert gemma.model.generation_config.do_sample  # the weights ask for sampling
    expected = answer_together(gemma, [PROMPT], [film], Generation(12))
    gemma.model.generation_config.repetition_penalty = 5.0
    try:
        assert answer_together(gemma, [PROMPT], [film], Generation(12)) == expected
    finally:
        gemma.model.generation_config.repetition_penalty = 1.0
    by_hand = gemma.processor(text=[PROMPT], images=[[_image(film)]], return_tensors="pt")
    with torch.inference_mode():
        for _ in range(12):  # greedy, written out
            logits = gemma.model(**by_hand).logits[0, -1]
            by_hand["input_ids"] = torch.cat([by_hand["input_ids"], logits.argmax().view(1, 1)], dim=1)
            by_hand["attention_mask"] = torch.ones_like(by_hand["input_ids"])
            kinds = by_hand["token_type_ids"]
            by_hand["token_type_ids"] = torch.cat([kinds, torch.zeros_like(kinds[:, :1])], dim=1)
    kept, reason = cut_at_end(
        by_hand["input_ids"][0, -12:].tolist(), end_token_ids(gemma.model, gemma.processor.tokenizer)
    )
    assert (gemma.processor.tokenizer.decode(kept, skip_special_tokens=True).strip(), reason) == expected[0]


def test_a_chat_template_that_writes_the_first_token_does_not_get_it_twice(gemma, film, gemma_folder, ask, monkeypatch):
    baseline = get_baseline("medgemma_27b_it")
    seen = []
    generate = gemma.model.generate
    monkeypatch.setattr(gemma.model, "generate", lambda **inputs: seen.append(inputs) or generate(**inputs))
    baseline.answer(gemma, [ask("report_generation")], Generation(2))
    answer_together(gemma, [PROMPT], [film], Generation(2))
    beginning = gemma.processor.tokenizer.bos_token_id
    assert [(inputs["input_ids"] == beginning).sum().item() for inputs in seen] == [1, 1]


def test_sampling_repeats_with_its_seed_and_leaves_the_random_state_alone(gemma, film):
    sampled = Generation(12, temperature=1.0)

    def draw(seed):
        with seeded(seed):
            return answer_together(gemma, [PROMPT] * 2, [film] * 2, sampled)

    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first = draw(0)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert draw(0) == first
    assert draw(1) != first


def test_a_film_that_is_missing_is_named(gemma):
    with pytest.raises(ImageReadError, match=r"gone\.png"):
        answer_together(gemma, [PROMPT], ["gone.png"], Generation(2))


def _image(path):
    from radvlm_course.images import load_image

    return load_image(path)
