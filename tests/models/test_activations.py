"""The counts of what comes and goes, held against what torch keeps and allocates for the real classes, in small."""

import contextlib
import weakref

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from radvlm_course.models import activations
from radvlm_course.models.architectures import Architecture, TextSizes, VisionSizes

VISION = VisionSizes(2, 32, 64, 2, 64, [0], num_position_embeddings=16)
VISION_OF_256 = VisionSizes(1, 64, 128, 2, 256, [0], num_position_embeddings=16)
# hidden, feed-forward, layers, heads, heads of keys, head, vocabulary: in the proportions of 2B and 8B, and of 4B
SIZES = [
    Architecture(TextSizes(256, 768, 3, 8, 4, 32, 640), VISION_OF_256),
    Architecture(TextSizes(160, 608, 3, 8, 2, 32, 500), VISION),
]
TEXT = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
TOKENS = 128
FOUR_BITS = "adapter on four bits"


class Allocations(TorchDispatchMode):
    """Bytes of the storages that operations make, while they live; ``peak`` is the most at once."""

    def __init__(self):
        super().__init__()
        self.now = self.peak = 0
        self.sizes = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        given = {t.untyped_storage()._cdata for t in tree_iter((args, kwargs)) if isinstance(t, torch.Tensor)}
        for tensor in tree_iter(out):
            if isinstance(tensor, torch.Tensor):
                self.note(tensor.untyped_storage(), given)
        return out

    def note(self, storage, given):
        if storage._cdata not in given and storage._cdata not in self.sizes:
            self.sizes[storage._cdata] = storage.nbytes()
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self.forget, storage._cdata)

    def forget(self, key):
        self.now -= self.sizes.pop(key)


@contextlib.contextmanager
def kept(module):
    """Bytes that autograd keeps beside the module's own weights; a list with one number, filled on leaving."""
    own = {parameter.untyped_storage().data_ptr() for parameter in module.parameters()}
    storages = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            storages[storage.data_ptr()] = storage  # held, so that its address is not given to another
        return tensor

    total = []
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield total
    total.append(sum(storage.nbytes() for storage in storages.values()))


def language_model(architecture, trained="weights", folder=None):
    """The real language model in bfloat16; its weights are trained, or adapters of rank 1 as peft makes them."""
    from peft import LoraConfig, get_peft_model
    from transformers import BitsAndBytesConfig, Qwen3VLConfig, Qwen3VLForConditionalGeneration, Qwen3VLTextModel

    if trained == FOUR_BITS:
        from radvlm_course.model_settings import QuantisationSettings
        from radvlm_course.models.random_checkpoint import write_random_checkpoint

        write_random_checkpoint(architecture, folder, ["Where is the nodule?"])
        four_bits = BitsAndBytesConfig(**QuantisationSettings().options())
        whole = Qwen3VLForConditionalGeneration.from_pretrained(
            folder, dtype=torch.bfloat16, quantization_config=four_bits
        )
        model = whole.model.language_model
    else:
        config = Qwen3VLConfig(**architecture.to_config()).text_config
        model = Qwen3VLTextModel._from_config(config, attn_implementation="sdpa").to(torch.bfloat16)
    if trained != "weights":
        model = get_peft_model(model, LoraConfig(r=1, target_modules=TEXT)).base_model.model
    return model.train()


def one_layer(model, architecture, tokens=TOKENS):
    """Hidden states through the first layer, with the mask of a padded batch."""
    hidden = torch.randn(2, tokens // 2, architecture.text_config.hidden_size, dtype=torch.bfloat16, requires_grad=True)
    places = torch.arange(tokens // 2).expand(3, 2, -1)
    rotary = model.rotary_emb(hidden, places)
    mask = torch.ones(2, 1, tokens // 2, tokens // 2, dtype=torch.bool).tril()
    with torch.autocast("cpu", torch.bfloat16):
        return hidden, model.layers[0](hidden, position_embeddings=rotary, attention_mask=mask)


@pytest.mark.parametrize(
    ("architecture", "trained"),
    [(SIZES[0], "weights"), (SIZES[1], "weights"), (SIZES[0], "adapter"), (SIZES[1], "adapter"), (SIZES[0], FOUR_BITS)],
    ids=["8B", "4B", "8B adapter", "4B adapter", "8B adapter on four bits"],
)
def test_what_one_layer_keeps_is_what_autograd_keeps(architecture, trained, tmp_path):
    model = language_model(architecture, trained, tmp_path)
    with kept(model) as total:
        one_layer(model, architecture)
    assert total[0] / TOKENS == pytest.approx(activations.layer_bytes(architecture, trained != "weights"), rel=0.05)


@pytest.mark.parametrize("trained", ["weights", "adapter"])
def test_a_step_with_checkpointing_takes_at_its_peak_what_is_counted(trained):
    architecture = SIZES[0]
    model = language_model(architecture, trained)
    model.gradient_checkpointing_enable({"use_reentrant": False})
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter) if parameter.requires_grad else None
    hidden = torch.randn(2, TOKENS // 2, 256, dtype=torch.bfloat16, requires_grad=True)
    mask = torch.ones(2, TOKENS // 2, dtype=torch.long)
    mask[0, :3] = 0
    with Allocations() as allocations:
        with torch.autocast("cpu", torch.bfloat16):
            out = model(inputs_embeds=hidden, attention_mask=mask, use_cache=False).last_hidden_state
        out.backward(torch.ones_like(out))
    batch = activations.Batch(2, 0, 0, TOKENS // 2, 0)
    parts = activations.training(architecture, batch, activations.Compute(True, trained != "weights", False, False))
    assert allocations.peak == pytest.approx(sum(parts.values()), rel=0.08)


def test_without_checkpointing_each_layer_keeps_as_much_again():
    batch = activations.Batch(2, 16, 64, 48, 16)
    compute = activations.Compute(False, True, False, False)
    deep = Architecture(TextSizes(256, 768, 6, 8, 4, 32, 640), VISION_OF_256)
    more = activations.training(deep, batch, compute)["activations"]
    less = activations.training(SIZES[0], batch, compute)["activations"]
    assert more - less == 3 * batch.tokens * activations.layer_bytes(SIZES[0], True)


def test_the_cache_is_that_of_transformers_and_reading_takes_what_is_counted():
    from transformers import DynamicCache

    architecture = SIZES[0]
    model = language_model(architecture).eval()
    cache = DynamicCache(config=model.config)
    hidden = torch.zeros(2, TOKENS // 2, 256, dtype=torch.bfloat16)
    mask = torch.ones(2, TOKENS // 2, dtype=torch.long)
    mask[0, :3] = 0
    with Allocations() as allocations, torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        model(inputs_embeds=hidden, attention_mask=mask, past_key_values=cache, use_cache=True)
    batch = activations.Batch(2, 0, 0, TOKENS // 2, 0)
    parts = activations.writing(architecture, batch, rollouts=2, groups=0)
    assert sum(layer.keys.nbytes + layer.values.nbytes for layer in cache.layers) == parts["cache"]
    assert allocations.peak == pytest.approx(parts["cache"] + parts["reading the prompts"], rel=0.08)


@pytest.mark.parametrize("trained", [True, False])
def test_the_vision_tower_takes_what_is_counted(trained):
    from transformers import Qwen3VLConfig
    from transformers.models.qwen3_vl.modeling_qwen3_vl import Qwen3VLVisionModel

    from radvlm_course.models.vision_speed import BatchedVisionAttention, LinearPatchEmbed

    vision = VisionSizes(4, 128, 512, 4, 64, [0], patch_size=8, num_position_embeddings=16)
    architecture = Architecture(TextSizes(64, 64, 1, 2, 1, 32, 500), vision)
    tower = Qwen3VLVisionModel._from_config(Qwen3VLConfig(**architecture.to_config()).vision_config)
    tower = tower.to(torch.bfloat16).requires_grad_(trained).train(trained)
    tower.patch_embed.__class__ = LinearPatchEmbed
    for block in tower.blocks:
        block.attn.__class__ = BatchedVisionAttention
    if trained:
        tower.gradient_checkpointing_enable({"use_reentrant": False})
        for parameter in tower.parameters():
            parameter.grad = torch.zeros_like(parameter)
    batch = activations.Batch(2, 36, 144, 64, 0)
    pixels, grid = torch.randn(2 * 144, 3 * 2 * 8 * 8), torch.tensor([[1, 12, 12]] * 2)
    with Allocations() as allocations, torch.autocast("cpu", torch.bfloat16), torch.set_grad_enabled(trained):
        out = tower(pixels, grid_thw=grid)
        if trained:
            sum(level.float().sum() for level in (out.pooler_output, *out.deepstack_features)).backward()
    if trained:
        parts = activations.training(architecture, batch, activations.Compute(True, False, True, False))
        expected = parts["vision tower"]
    else:
        expected = activations.writing(architecture, batch, rollouts=0, groups=2)["reading the prompts"]
    assert allocations.peak == pytest.approx(expected, rel=0.12)


def test_the_chunked_loss_of_sft_takes_what_is_counted():
    from trl.trainer.sft_trainer import _CHUNKED_LM_HEAD_CHUNK_SIZE, _chunked_cross_entropy_loss

    architecture = Architecture(TextSizes(16, 32, 1, 1, 1, 16, 4000), VISION)
    assert _CHUNKED_LM_HEAD_CHUNK_SIZE == activations.CHUNK
    head = torch.randn(4000, 16, dtype=torch.bfloat16)
    hidden = torch.randn(1, 1025, 16, dtype=torch.bfloat16, requires_grad=True)
    labels = torch.randint(0, 4000, (1, 1025))
    with Allocations() as allocations:
        _chunked_cross_entropy_loss(hidden, head, activations.CHUNK, labels=labels)[0].backward()
    assert allocations.peak == pytest.approx(activations.chunked_logits(architecture), rel=0.05)


def test_pixels_are_those_of_the_processor(loaded):
    from PIL import Image

    film = Image.new("L", (64, 64)).convert("RGB")
    pixels = loaded.processor.image_processor(images=[film], return_tensors="pt")["pixel_values"]
    architecture = Architecture(SIZES[0].text_config, VisionSizes(2, 32, 64, 2, 64, [0], patch_size=8))
    batch = activations.Batch(1, 16, len(pixels), 32, 8)
    assert activations.pixel_bytes(architecture, batch) == pixels.nbytes
