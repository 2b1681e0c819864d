"""How much memory a step of Quiet-STaR needs, from the model's configuration alone.

Per row and layer a decoder keeps about 9 D + 2 (width of keys) + 4 F numbers for its backward pass (D width, F width
of the feed-forward part): counted on Llama and GPT-2 of several shapes, within 6 %. Rows are those of the texts of one
forward pass and of one slice of thoughts, whatever the number of positions, thoughts and passes. Left out: what an
allocator loses, and experts (counted as one feed-forward part).
"""

from dataclasses import asdict, dataclass

from torch import nn

from menon.models.thoughts.layout import ThoughtShape
from menon.models.thoughts.quiet import QuietModel
from menon.models.thoughts.readout import CHUNK_LOGITS
from menon.teaching.config import TrainConfig
from menon.teaching.quiet.config import QuietConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Megabytes (2**20 bytes) of one training step at its peak.

    `weights` holds frozen copies too; `optimizer` two moments per trained number; `thoughts` one slice with its
    attention scores; `logits` the rows of the vocabulary that live at once.
    """

    weights: float
    gradients: float
    optimizer: float
    text: float
    thoughts: float
    logits: float

    @property
    def total(self) -> float:
        return sum(asdict(self).values())


def estimate_memory(
    quiet: QuietModel, config: QuietConfig, training: TrainConfig, shape: ThoughtShape, *, length: int, places: int
) -> Memory:
    """Estimate the peak of a step over texts of `length` tokens with `places` thinking positions each."""
    decoder = quiet.plain.config.get_text_config()
    item = quiet.plain.get_input_embeddings().weight.element_size()
    inner = 2 if training.precision == "bfloat16" else item
    layers, width, heads = decoder.num_hidden_layers, decoder.hidden_size, decoder.num_attention_heads
    keys = (getattr(decoder, "num_key_value_heads", None) or heads) * (
        getattr(decoder, "head_dim", None) or width // heads
    )
    feed = getattr(decoder, "intermediate_size", None) or getattr(decoder, "n_inner", None) or 4 * width
    row = 9 * width + 2 * keys + 4 * feed
    kept = (layers * width + row if training.gradient_checkpointing else layers * row) * inner
    texts = config.rows * length
    at_once = config.rows * config.passes * shape.rows  # a slice has one place of every text at least
    rows = at_once * (min(places, max(1, config.slice_rows // at_once)) if config.slice_rows else places)
    scores = 3 * heads * rows * length * 4  # scores and probabilities of one layer, and the gradient of either
    own, trained = sum(p.numel() for p in quiet.parameters()), _trained(quiet, config)
    copies = 1 + bool(config.kl) + config.thoughtless
    mega = 2.0**20
    return Memory(
        weights=own * item * copies / mega + (own * inner / mega if inner != item else 0),
        gradients=trained * item / mega,
        optimizer=2 * trained * item / mega,
        text=texts * (kept + layers * 4 * keys * inner) / mega,  # keys, values and their gathered gradients
        thoughts=(rows * kept + scores) / mega,
        logits=3 * min(CHUNK_LOGITS, max(texts, rows) * decoder.vocab_size) * 4 / mega,
    )


def _trained(quiet: QuietModel, config: QuietConfig) -> int:
    """Count trained numbers; with LoRA those of an adapter on every linear layer but the head, put there or not yet."""
    extra = sum(p.numel() for part in (quiet.thought_tokens, quiet.head) for p in part.parameters())
    if not config.lora_rank:
        return sum(p.numel() for p in quiet.parameters() if p.requires_grad)
    layers = [m for m in quiet.decoder.modules() if isinstance(m, nn.Linear) or type(m).__name__ == "Conv1D"]
    sizes = [tuple(m.weight.shape) for m in layers if config.lora_rank < min(m.weight.shape)]
    return extra + sum(config.lora_rank * sum(size) for size in sizes)
