"""The embedded model `menon:base`: its architecture, initialisation, tokenizer and place in the package.

A GPT-NeoX decoder of stock transformers with LayerNorm, ReLU, full rotary positions and an untied head. Embeddings are
drawn from N(0, 1): with the usual 0.02 the tokens drown in the residual stream and learning takes twice as long.
Left out: Abacus positions.
"""

import math
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM, PreTrainedTokenizerFast

PAD, END = "<pad>", "<end>"
VOCABULARY = 512
# Lower-case words keep the space before them; digits, capitals and everything else stand alone.
_PIECES = r" ?[a-z]+|[A-Z]|[0-9]|[^a-zA-Z0-9]"
CHAT_TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"


def folder() -> Path:
    """Return the folder of the packaged model."""
    return Path(str(files("menon.models"))) / "base"


def build_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Train the byte-level BPE tokenizer on `texts`; any text round-trips."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(_PIECES), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[PAD, END],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        model_max_length=512,
        padding_side="right",
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
    )


def build_model(
    vocabulary: int = VOCABULARY, *, width: int = 128, layers: int = 4, heads: int = 4, seed: int = 0
) -> GPTNeoXForCausalLM:
    """Build the untrained model with its own initialisation.

    Linear layers have variance 1 / fan-in, and the two projections back into the residual stream are scaled by a
    further 1 / sqrt(2 layers).
    """
    config = GPTNeoXConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        max_position_embeddings=512,
        hidden_act="relu",
        use_parallel_residual=False,
        tie_word_embeddings=False,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=1,
        attention_dropout=0.0,
        hidden_dropout=0.0,
    )
    config.rope_parameters = {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 1.0}
    model = GPTNeoXForCausalLM(config)
    model.generation_config.do_sample = True  # servers sample only when the model says so
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "embed_in" in name:
                parameter.normal_(0.0, 1.0, generator=generator)
            elif parameter.ndim == 2:
                scale = 1 / math.sqrt(parameter.shape[1])
                if name.endswith(("attention.dense.weight", "dense_4h_to_h.weight")):
                    scale /= math.sqrt(2 * layers)
                parameter.normal_(0.0, scale, generator=generator)
    return model
