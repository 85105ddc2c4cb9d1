from radvlm_course.models.tokenizer import SPECIAL_TOKENS, train_tokenizer


def test_every_digit_is_a_token_of_its_own_and_a_box_takes_17_tokens(tokenizer):
    pieces = tokenizer.tokenize("[0.38, 0.47, 0.76, 0.62]")
    assert [piece for piece in pieces if any(c.isdigit() for c in piece.replace("0.", ""))] == list("38477662")
    assert len(pieces) == 17


def test_text_never_seen_in_training_survives_a_round_trip(tokenizer):
    text = "Épanchement pleural, 12 mm · 胸腔积液 🙂"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_thought_tags_are_one_token_each_and_survive_decoding_without_special_tokens(tokenizer):
    ids = tokenizer("<think>wide heart</think>Cardiomegaly<|im_end|>")["input_ids"]
    assert tokenizer.decode(ids, skip_special_tokens=True) == "<think>wide heart</think>Cardiomegaly"
    assert len(tokenizer("<think>")["input_ids"]) == len(tokenizer("</think>")["input_ids"]) == 1


def test_special_tokens_vanish_when_decoding_without_special_tokens(tokenizer):
    ids = tokenizer("".join(SPECIAL_TOKENS))["input_ids"]
    assert len(ids) == len(SPECIAL_TOKENS)
    assert tokenizer.decode(ids, skip_special_tokens=True) == ""


def test_training_is_deterministic():
    texts = ["No nodule.", "There is a nodule.", "[0.10, 0.20, 0.30, 0.40]"]
    assert train_tokenizer(texts, 320).get_vocab() == train_tokenizer(texts, 320).get_vocab()
