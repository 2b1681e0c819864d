"""The peer of star_round.py: transformers' `generate` to sample and TRL's `SFTTrainer` to train, each at its fastest.

A setting carries the model, its tokenizer, the requests, the kept rows, the training configuration and the number of
real tokens in one of Menon's steps.
"""

import argparse
import copy
import math
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

GENERATE_BATCHES = (32, 64, 128, 256)
LAYOUTS = ("group_by_length", "packed")
TRIAL_PROMPTS, TRIAL_STEPS = 256, 8


class Timing(NamedTuple):
    """Seconds on the wall and seconds of processor time; far apart, they say that others used the machine."""

    wall: float
    cpu: float


def timed(work: Callable[[], Any]) -> tuple[Timing, Any]:
    """Return what `work` took, and its result."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return Timing(time.perf_counter() - wall, time.process_time() - cpu), result


def sample(setting: SimpleNamespace, options: argparse.Namespace, prompts: Sequence[str], batch: int) -> int:
    """Sample every prompt with `generate`, longest prompts first; return the number of sampled tokens."""
    import torch

    tokenizer, model, sampled = setting.tokenizer, setting.model, 0
    order = sorted(prompts, key=len, reverse=True)
    for first in range(0, len(order), batch):
        inputs = tokenizer(order[first : first + batch], return_tensors="pt", padding=True, padding_side="left")
        with torch.inference_mode():
            out = model.generate(
                input_ids=inputs.input_ids,
                attention_mask=inputs.attention_mask,
                do_sample=options.temperature > 0,
                temperature=options.temperature or None,
                top_k=0,
                top_p=1.0,
                max_new_tokens=options.max_tokens,
                num_return_sequences=options.samples,
                eos_token_id=tokenizer.eos_token_id,
                pad_token_id=tokenizer.pad_token_id,
            )
        new = out[:, inputs.input_ids.shape[1] :]
        ended = (new == tokenizer.eos_token_id).long()
        # A token counts when no end stands before it.
        sampled += int((ended.cumsum(1) - ended == 0).sum())
        tokenizer.batch_decode(new, skip_special_tokens=True)
    return sampled


def build_trainer(setting: SimpleNamespace, steps: int, layout: str, folder: str) -> SimpleNamespace:
    """Build TRL's trainer over a copy of the model; `tokens` lists the real tokens of each batch it collated."""
    from datasets import Dataset
    from torch.optim.lr_scheduler import LambdaLR
    from trl import SFTConfig, SFTTrainer

    from menon.teaching.train import learning_rate, make_optimizer

    model = copy.deepcopy(setting.model)
    packed = layout == "packed"
    context = min(1024, getattr(setting.model.config, "max_position_embeddings", 1024))
    blocks = math.ceil(setting.tokens_per_step / context)
    length = statistics.mean(len(row.ids) for row in setting.rows)
    config = SFTConfig(
        output_dir=folder,
        max_steps=steps,
        per_device_train_batch_size=blocks if packed else max(1, round(setting.tokens_per_step / length)),
        gradient_accumulation_steps=1,
        activation_checkpointing=False,
        packing=packed,
        max_length=round(setting.tokens_per_step / blocks) if packed else None,
        train_sampling_strategy="random" if packed else "group_by_length",
        bf16=False,
        fp16=False,
        use_cpu=True,
        max_grad_norm=setting.train.clip,
        dataloader_num_workers=0,
        dataloader_pin_memory=False,
        logging_strategy="no",
        save_strategy="no",
        eval_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    data = Dataset.from_list(
        [
            {"input_ids": list(row.ids), "labels": [-100] * row.prompt + list(row.ids[row.prompt :])}
            for row in setting.rows
        ]
    )
    optimizer = make_optimizer(model, setting.train)
    schedule = LambdaLR(optimizer, lambda s: learning_rate(setting.train, s, steps) / setting.train.learning_rate)
    trainer = SFTTrainer(
        model=model,
        args=config,
        train_dataset=data,
        processing_class=setting.tokenizer,
        optimizers=(optimizer, schedule),
    )
    tokens: list[int] = []
    collate = trainer.data_collator

    def counting(examples: list[dict[str, Any]]) -> Any:
        tokens.append(sum(len(example["input_ids"]) for example in examples))
        return collate(examples)

    trainer.data_collator = counting
    return SimpleNamespace(trainer=trainer, model=model, tokens=tokens, rows=config.per_device_train_batch_size)


def train(setting: SimpleNamespace, steps: int, layout: str) -> SimpleNamespace:
    """Train with TRL; return the times of the set-up and of the training, real tokens, and the taught model."""
    with tempfile.TemporaryDirectory() as folder:
        setup, built = timed(lambda: build_trainer(setting, steps, layout, folder))
        took, _ = timed(built.trainer.train)
    return SimpleNamespace(
        setup=setup, took=took, tokens=sum(built.tokens[:steps]), model=built.model.eval(), rows=built.rows
    )


def trials(setting: SimpleNamespace, options: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Return tokens per second of the peer for each batch size of `generate` and each layout of the training rows.

    With one thread the seconds are those of the processor, which other work on the machine hardly changes.
    """

    def rate(tokens: int, took: Timing) -> float:
        return round(tokens / (took.cpu if options.threads == 1 else took.wall), 1)

    prompts = [request.prompt for request in setting.requests]
    some = prompts[:: max(1, len(prompts) // TRIAL_PROMPTS)][:TRIAL_PROMPTS]
    sample(setting, options, some[:16], 16)
    generate, layouts = {}, {}
    for batch in GENERATE_BATCHES:
        took, tokens = timed(lambda size=batch: sample(setting, options, some, size))
        generate[str(batch)] = rate(tokens, took)
    for layout in LAYOUTS:
        done = train(setting, min(TRIAL_STEPS, options.steps), layout)
        layouts[layout] = rate(done.tokens, done.took)
    return {"generate_batch": generate, "training_rows": layouts}
