"""Small models of other people's architectures, built from configuration, each with a tokenizer of its own."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from menon.models.load import load_model, save_model
from menon.teaching.config import TrainConfig
from menon.teaching.rows import Epochs, Row
from menon.teaching.train import train

KINDS = ("llama", "qwen2", "gpt2")
VOCABULARY = 640
END = {"llama": "</s>", "qwen2": "<|endoftext|>", "gpt2": "<|endoftext|>"}


def save_small(kind: str, folder: Path, texts: Sequence[str], *, positions: int = 1536) -> Path:
    """Save an untrained model whose tokenizer was trained on `texts`."""
    tokenizer = _llama_tokenizer(texts) if kind == "llama" else _byte_tokenizer(kind, texts)
    torch.manual_seed(0)
    end = tokenizer.convert_tokens_to_ids(END[kind])
    assert isinstance(end, int)
    save_model(folder, _model(kind, len(tokenizer), end, positions), tokenizer)
    return folder


def memorise(folder: Path, pairs: Iterable[tuple[str, str]], *, steps: int) -> None:
    """Train the model in `folder` to continue each prompt with its completion."""
    loaded = load_model(str(folder), device="cpu")
    rows = []
    for prompt, completion in pairs:
        head = loaded.tokenizer(prompt).input_ids
        tail = loaded.tokenizer(completion, add_special_tokens=False).input_ids
        rows.append(Row(ids=(*head, *tail, loaded.tokenizer.eos_token_id), prompt=len(head)))
    config = TrainConfig(learning_rate=8e-3, warmup_steps=5, tokens_per_batch=4096)
    batches = Epochs(rows, config.tokens_per_batch, "memorise")
    for _ in train(loaded.model, batches.batch, config, steps=steps, pad=loaded.tokenizer.pad_token_id):
        pass
    save_model(folder, loaded.model, loaded.tokenizer)


def _model(kind: str, vocabulary: int, end: int, positions: int) -> Any:
    if kind == "gpt2":
        return GPT2LMHeadModel(
            GPT2Config(
                vocab_size=vocabulary,
                n_embd=48,
                n_layer=2,
                n_head=4,
                n_positions=positions,
                bos_token_id=end,
                eos_token_id=end,
            )
        )
    shape: dict[str, Any] = {
        "vocab_size": vocabulary,
        "hidden_size": 48,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": positions,
        "eos_token_id": end,
    }
    if kind == "llama":
        return LlamaForCausalLM(LlamaConfig(bos_token_id=1, **shape))
    return Qwen2ForCausalLM(Qwen2Config(bos_token_id=end, tie_word_embeddings=True, **shape))


def _byte_tokenizer(kind: str, texts: Sequence[str]) -> PreTrainedTokenizerFast:
    """Byte-level, as GPT-2 and Qwen have it: nothing in front of a text; GPT-2 has no token for padding."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = [END[kind]] if kind == "gpt2" else [END[kind], "<|pad|>"]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=special,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    padding = {} if kind == "gpt2" else {"pad_token": "<|pad|>"}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END[kind], **padding)


def _llama_tokenizer(texts: Sequence[str]) -> PreTrainedTokenizerFast:
    """As Llama 2 has it: spaces become part of words, a token begins every text, decoding drops the first space."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("▁?[^▁0-9\n]+|[0-9]|▁|\n"), "isolated")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>", model_max_length=1536
    )
