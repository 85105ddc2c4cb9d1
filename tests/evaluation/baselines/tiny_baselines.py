"""Small random models, saved in the layouts in which the real ones come.

Gemma 3 and Qwen2.5-VL are the classes of transformers. MAIRA-2, CheXagent and LLaVA-Rad bring classes of their own, so
what stands here for them is a repository (or package) of the same shape with code of our own: it has the entry points
that theirs have and checks what it is given.
"""

import json
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

TEXTS = ["findings: The lungs are clear. No pleural effusion.", "<obj>Nodule <box><x10><y20><x30><y40></box></obj>"]


def tokenizer(special, bos=None, eos="<eos>", **names):
    """Byte-level tokens; ``special`` tokens are whole, ``bos`` is put before every text."""
    base = Tokenizer(models.BPE())
    base.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    base.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=300 + len(special),
        special_tokens=list(special),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    base.train_from_iterator(TEXTS, trainer)
    if bos:
        pair = (bos, base.token_to_id(bos))
        base.post_processor = processors.TemplateProcessing(single=f"{bos} $A", special_tokens=[pair])
    return PreTrainedTokenizerFast(tokenizer_object=base, bos_token=bos, eos_token=eos, pad_token="<pad>", **names)


GEMMA_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<start_of_turn>{{ message['role'] }}\n"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}<start_of_image>{% else %}{{ part['text'] }}"
    "{% endif %}{% endfor %}<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)


def gemma(folder):
    """In the layout of the real repositories: an image processor by name, and the processor's own few settings."""
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration

    names = {"image_token": "<image_soft_token>", "boi_token": "<start_of_image>", "eoi_token": "<end_of_image>"}
    special = ("<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>", *names.values())
    text = tokenizer(special, bos="<bos>", extra_special_tokens=names)
    text.save_pretrained(folder)
    (folder / "chat_template.jinja").write_text(GEMMA_TEMPLATE)
    processor = {"processor_class": "Gemma3Processor", "image_seq_length": 4}
    (folder / "processor_config.json").write_text(json.dumps(processor))
    images = {
        "image_processor_type": "Gemma3ImageProcessor",
        "size": {"height": 32, "width": 32},
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "resample": 2,
        "rescale_factor": 1 / 255,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(images | processor))
    token_id = text.convert_tokens_to_ids
    config = Gemma3Config(
        text_config={
            "vocab_size": len(text),
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "head_dim": 16,
            "sliding_window": 64,
            "pad_token_id": token_id("<pad>"),
            "bos_token_id": token_id("<bos>"),
            "eos_token_id": token_id("<eos>"),
        },
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "image_size": 32,
            "patch_size": 8,
        },
        mm_tokens_per_image=4,
        image_token_index=token_id("<image_soft_token>"),
        boi_token_index=token_id("<start_of_image>"),
        eoi_token_index=token_id("<end_of_image>"),
    )
    torch.manual_seed(0)
    model = Gemma3ForConditionalGeneration(config)
    model.generation_config.eos_token_id = [token_id("<eos>"), token_id("<end_of_turn>")]
    model.generation_config.update(do_sample=True, temperature=0.7, top_k=64, top_p=0.95)  # as the real one comes
    model.save_pretrained(folder)
    return folder


def qwen2_5_vl(folder, image_processor="Qwen2VLImageProcessor", template_in="chat_template.jinja"):
    """In the layout of the real repository: an image processor by name, no settings of a processor of ours."""
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    from radvlm_course.models.processor import CHAT_TEMPLATE
    from radvlm_course.models.tokenizer import train_tokenizer

    text = train_tokenizer([*TEXTS, r"<think>a</think> \boxed{b}"], 400)
    text.save_pretrained(folder)
    file = folder / template_in
    settings = json.loads(file.read_text()) if file.exists() else {}
    written = CHAT_TEMPLATE if file.suffix == ".jinja" else json.dumps(settings | {"chat_template": CHAT_TEMPLATE})
    file.write_text(written)
    images = {
        "image_processor_type": image_processor,
        "processor_class": "Qwen2_5_VLProcessor",
        "min_pixels": 3136,
        "max_pixels": 12845056,
        "patch_size": 14,
        "temporal_patch_size": 2,
        "merge_size": 2,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.25, 0.25, 0.25],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(images))
    token_id = text.convert_tokens_to_ids
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(text),
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]},
            "bos_token_id": None,
            "pad_token_id": token_id("<|endoftext|>"),
            "eos_token_id": token_id("<|im_end|>"),
        },
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "out_hidden_size": 32,
            "patch_size": 14,
            "fullatt_block_indexes": [1],
        },
        image_token_id=token_id("<|image_pad|>"),
        video_token_id=token_id("<|video_pad|>"),
        vision_start_token_id=token_id("<|vision_start|>"),
        vision_end_token_id=token_id("<|vision_end|>"),
    )
    torch.manual_seed(0)
    model = Qwen2_5_VLForConditionalGeneration(config)
    model.generation_config.eos_token_id = token_id("<|im_end|>")
    model.generation_config.update(do_sample=True, temperature=0.1, repetition_penalty=1.05)  # as the real one comes
    model.save_pretrained(folder)
    return folder


MAIRA_CODE = {
    "configuration_maira2.py": """
from transformers import LlavaConfig

class Maira2Config(LlavaConfig):
    model_type = "maira2"
""",
    "modeling_maira2.py": """
from transformers import LlavaForConditionalGeneration

from .configuration_maira2 import Maira2Config

class Maira2ForConditionalGeneration(LlavaForConditionalGeneration):
    config_class = Maira2Config
""",
    "processing_maira2.py": """
from transformers import LlavaProcessor

class Maira2Processor(LlavaProcessor):
    def format_and_preprocess_phrase_grounding_input(self, frontal_image, phrase, return_tensors):
        return self(text=f"<image> Finding: {phrase}", images=[frontal_image.convert("L").convert("RGB")],
                    return_tensors=return_tensors)

    def format_and_preprocess_reporting_input(
        self, current_frontal, current_lateral, prior_frontal, indication, technique, comparison, prior_report,
        return_tensors, get_grounding
    ):
        left_out = (current_lateral, prior_frontal, indication, technique, comparison, prior_report)
        assert all(value is None for value in left_out)
        text = "<image> Report" + " with boxes" * get_grounding
        return self(text=text, images=[current_frontal], return_tensors=return_tensors)
""",
}


def maira_2(folder):
    """A LLaVA under a class and a processor that only the repository's code knows."""
    from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    (folder / "__init__.py").touch()
    for name, code in MAIRA_CODE.items():
        (folder / name).write_text(code)
    text = tokenizer(("<pad>", "<eos>", "<bos>", "<image>"), bos="<bos>")
    text.save_pretrained(folder)
    CLIPImageProcessorPil(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(folder)
    settings = {
        "processor_class": "Maira2Processor",
        "auto_map": {"AutoProcessor": "processing_maira2.Maira2Processor"},
        "patch_size": 8,
        "vision_feature_select_strategy": "default",
        "num_additional_image_tokens": 1,
        "image_token": "<image>",
    }
    (folder / "processor_config.json").write_text(json.dumps(settings))
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            image_size=32,
            patch_size=8,
        ),
        text_config=LlamaConfig(
            vocab_size=len(text),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            pad_token_id=text.pad_token_id,
            bos_token_id=text.bos_token_id,
            eos_token_id=text.eos_token_id,
        ),
        image_token_index=text.convert_tokens_to_ids("<image>"),
    )
    torch.manual_seed(0)
    model = LlavaForConditionalGeneration(config)
    model.generation_config.eos_token_id = text.eos_token_id
    model.save_pretrained(folder)
    _claim(
        folder,
        "maira2",
        AutoConfig="configuration_maira2.Maira2Config",
        AutoModelForCausalLM="modeling_maira2.Maira2ForConditionalGeneration",
    )
    return folder


CHEXAGENT_CODE = {
    "modeling_chexagent.py": """
from transformers import PhiForCausalLM

class CheXagentForCausalLM(PhiForCausalLM):
    pass
""",
    "tokenization_chexagent.py": """
from PIL import Image
from transformers import PreTrainedTokenizerFast

class CheXagentTokenizer(PreTrainedTokenizerFast):
    def from_list_format(self, parts):
        (image, text) = parts
        with Image.open(image["image"]) as film:
            assert film.mode == "RGB"
            film.load()
        return f"Picture 1:<|img|>{film.size[0]} x {film.size[1]}<|/img|>\\n{text['text']}"
""",
}
CHEXAGENT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['from'] }}|>{{ message['value'] }}{{ eos_token }}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def chexagent_2(folder):
    """A Phi whose tokenizer takes paths of images, as code of its repository."""
    from transformers import PhiConfig, PhiForCausalLM

    (folder / "__init__.py").touch()
    for name, code in CHEXAGENT_CODE.items():
        (folder / name).write_text(code)
    tags = ("<|img|>", "<|/img|>", "<|ref|>", "<|/ref|>", "<|box|>", "<|/box|>")
    text = tokenizer(("<pad>", "<eos>", *tags), chat_template=CHEXAGENT_TEMPLATE)
    text.save_pretrained(folder)
    file = folder / "tokenizer_config.json"
    settings = json.loads(file.read_text())
    settings |= {
        "tokenizer_class": "CheXagentTokenizer",
        "auto_map": {"AutoTokenizer": [None, "tokenization_chexagent.CheXagentTokenizer"]},
    }
    file.write_text(json.dumps(settings))
    torch.manual_seed(0)
    model = PhiForCausalLM(
        PhiConfig(
            vocab_size=len(text),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            pad_token_id=text.pad_token_id,
            bos_token_id=None,
            eos_token_id=text.eos_token_id,
        )
    )
    model.save_pretrained(folder)
    _claim(folder, "phi", AutoModelForCausalLM="modeling_chexagent.CheXagentForCausalLM")
    return folder


def _claim(folder, model_type, **auto_map):
    file = Path(folder) / "config.json"
    settings = json.loads(file.read_text())
    file.write_text(json.dumps(settings | {"model_type": model_type, "auto_map": auto_map}))


LLAVA_CODE = {
    "constants.py": "IMAGE_TOKEN_INDEX = -200\n",
    "conversation.py": """
import copy

class Conversation:
    roles = ("USER", "ASSISTANT")

    def __init__(self):
        self.messages = []

    def copy(self):
        return copy.deepcopy(self)

    def append_message(self, role, text):
        self.messages.append((role, text))

    def get_prompt(self):
        return " ".join(f"{role}: {text}" if text else f"{role}:" for role, text in self.messages)

conv_templates = {"v1": Conversation()}
""",
    "mm_utils.py": """
import torch

def tokenizer_image_token(prompt, tokenizer, image_token_index, return_tensors):
    assert return_tensors == "pt" and prompt.count("<image>") == 1
    before, after = (tokenizer(part, add_special_tokens=False)["input_ids"] for part in prompt.split("<image>"))
    return torch.tensor([*before, image_token_index, *after])
""",
    "model/__init__.py": "",
    "model/builder.py": """
import torch
from transformers import AutoTokenizer, LlamaForCausalLM
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

class Llava(LlamaForCausalLM):
    returns_the_prompt = False

    def generate(self, input_ids, images, **arguments):
        assert (input_ids == -200).sum() == 1 and images.shape[0] == 1 and images.dtype == self.dtype
        written = super().generate(input_ids.clamp(min=0), **arguments)
        if self.returns_the_prompt:
            return torch.cat([input_ids, written[:, input_ids.shape[1]:]], dim=1)
        return written[:, input_ids.shape[1]:]

def load_pretrained_model(model_path, model_base, model_name, device_map, device):
    assert model_name == "llavarad" and device_map == {"": device}
    tokenizer = AutoTokenizer.from_pretrained(model_base)
    model = Llava.from_pretrained(model_base)
    return tokenizer, model, CLIPImageProcessorPil.from_pretrained(model_path), 2048
""",
}


def llava_rad(root):
    """A package ``llava`` in ``root``, weights and base model beside it."""
    from transformers import LlamaConfig, LlamaForCausalLM
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    for name, code in {"__init__.py": "", **LLAVA_CODE}.items():
        file = root / "llava" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(code)
    text = tokenizer(("<pad>", "<eos>", "<bos>"), bos="<bos>")
    text.save_pretrained(root / "base")
    size = {"shortest_edge": 32}
    CLIPImageProcessorPil(size=size, crop_size={"height": 32, "width": 32}).save_pretrained(root / "weights")
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(text),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        pad_token_id=text.pad_token_id,
        bos_token_id=text.bos_token_id,
        eos_token_id=text.eos_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(root / "base")
    return root
