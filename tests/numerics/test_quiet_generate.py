"""Generation with thoughts against the stock model run on every literal sequence, and against its own `generate`."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import pytest
import torch
from quiet_models import EOS, PAD, VOCABULARY, oracle_of, quiet_of, short_gpt2
from quiet_oracle import Oracle
from torch import Tensor

from menon.core.errors import ConfigError
from menon.core.seeds import seed_for
from menon.models.thoughts.budget import ThinkingBudget
from menon.models.thoughts.decoding_state import read_prompts
from menon.models.thoughts.generate import generate
from menon.models.thoughts.predicting import Prediction, predict, thought_numbers
from menon.models.thoughts.quiet import QuietModel
from menon.models.thoughts.scoring import score

FAMILIES = ["llama", "gpt2", "mistral", "gpt_neox", "gemma2", "qwen2", "gpt_oss"]
PROMPTS = [[7, 21, 3, 14, 9, 2, 25, 11, 4], [5], [12, 8, 19, 27], [16, 6]]
NEVER = ThinkingBudget(where="never")
Kind = Literal["sampled", "pause", "random"]


def thinking(family: str, **settings: Any) -> QuietModel:
    """A model whose mixing weight differs from place to place."""
    quiet = quiet_of(family)
    quiet.settings = quiet.settings.model_copy(update=settings)
    generator = torch.Generator().manual_seed(seed_for("stirred head", family))
    last: Any = quiet.head.last
    with torch.no_grad():
        last.weight.copy_(torch.randn(last.weight.shape, generator=generator))
    return quiet


def logits_of(oracle: Oracle, hidden_D: Tensor) -> Tensor:
    head: Any = oracle.model.get_output_embeddings()
    logits = head(hidden_D)
    cap = getattr(oracle.model.config, "final_logit_softcapping", None)
    return logits if cap is None else cap * torch.tanh(logits / cap)


class Literally:
    """What a model with thoughts says after a text, by running each sequence from its beginning."""

    def __init__(self, quiet: QuietModel) -> None:
        self.quiet, self.oracle = quiet, oracle_of(quiet)

    def _after(self, *parts: Tensor) -> Tensor:
        return self.oracle.hidden(torch.cat(parts))[-1]

    def _vector(self, name: str) -> Tensor:
        return self.oracle.vectors[name].detach()[None]

    def base(self, text: list[int]) -> Tensor:
        return self._after(self.oracle.embed(text))

    def policy(self, text: list[int], thought: Sequence[int]) -> Tensor:
        embedded = self._after(self.oracle.embed(text), self._vector("start"), self.oracle.embed(list(thought)))
        return logits_of(self.oracle, embedded).index_fill(0, torch.tensor([PAD, EOS]), -torch.inf)

    def greedy_thought(self, text: list[int], length: int) -> tuple[int, ...]:
        thought: list[int] = []
        for _ in range(length):
            thought.append(int(self.policy(text, thought).argmax()))
        return tuple(thought)

    def talk(self, text: list[int], thought: Tensor) -> Tensor:
        return self._after(self.oracle.embed(text), self._vector("start"), thought, self._vector("end"))

    def mixed(self, text: list[int], thought: Tensor) -> tuple[Tensor, float]:
        """Mixed log-probabilities [V] and the weight."""
        base, talk = self.base(text), self.talk(text, thought)
        w = self.quiet.head(base, talk)
        if self.quiet.settings.mixing == "hidden":
            return logits_of(self.oracle, (1 - w) * base + w * talk).log_softmax(-1), float(w)
        logits = (1 - w) * logits_of(self.oracle, base) + w * logits_of(self.oracle, talk)
        return logits.log_softmax(-1), float(w)


def stepped(
    quiet: QuietModel, texts: Sequence[list[int]], budget: ThinkingBudget, steps: int, numbers: Tensor | None = None
) -> list[tuple[list[list[int]], Prediction]]:
    """Predict step after step from every prompt, feeding ids that no model chose; return texts and what was said."""
    generator = torch.Generator().manual_seed(seed_for("fed"))
    grown = [list(text) for text in texts]
    store = read_prompts(quiet, grown)
    found = []
    for place in range(steps):
        said = predict(quiet, store, [text[-1] for text in grown], [place] * len(grown), budget, numbers)
        found.append(([list(text) for text in grown], said))
        for text in grown:
            text.append(int(torch.randint(2, VOCABULARY, (), generator=generator)))
    return found


def middle(values: Sequence[float]) -> float:
    """Return a number between the two values in the middle, well apart from both."""
    ordered = sorted(values)
    return (ordered[len(ordered) // 2 - 1] + ordered[len(ordered) // 2]) / 2


def medium(quiet: QuietModel, where: Any, **budget: Any) -> ThinkingBudget:
    """Return a budget whose threshold lets about half of the places think."""
    if where != "entropy":
        return ThinkingBudget(where=where, **budget)
    said = [one.logits_BV.log_softmax(-1) for _, one in stepped(quiet, PROMPTS, NEVER, 3)]
    entropies = [entropy for logp in said for entropy in (-(logp.exp() * logp).sum(-1)).tolist()]
    return ThinkingBudget(where=where, threshold=middle(entropies), **budget)


def assert_same(found: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("mixing", ["hidden", "log_probs"])
@pytest.mark.parametrize("family", FAMILIES)
def test_every_prediction_is_that_of_the_literal_sequence(family: str, mixing: str):
    quiet = thinking(family, mixing=mixing)
    literally = Literally(quiet)
    weights = set()
    with torch.no_grad():
        for texts, said in stepped(quiet, PROMPTS, ThinkingBudget(), 3):
            assert set(said.ids) == set(range(len(PROMPTS)))
            for row, text in enumerate(texts):
                assert said.ids[row] == literally.greedy_thought(text, 3)
                wanted, weight = literally.mixed(text, literally.oracle.embed(list(said.ids[row])))
                assert_same(said.logits_BV[row].log_softmax(-1), wanted)
                assert said.weights[row] == pytest.approx(weight, abs=1e-5)
                weights.add(round(weight, 3))
    assert len(weights) > 5


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_generated_is_what_the_literal_sequences_choose(family: str):
    quiet = thinking(family)
    literally = Literally(quiet)
    for prompt, found in zip(PROMPTS, generate(quiet, PROMPTS, max_tokens=4), strict=True):
        text = list(prompt)
        for token, logp, thought in zip(found.tokens, found.logps, found.thoughts, strict=True):
            assert thought is not None
            with torch.no_grad():
                wanted, weight = literally.mixed(text, literally.oracle.embed(list(thought.ids)))
                plain = logits_of(literally.oracle, literally.base(text)).log_softmax(-1)
            assert token == int(wanted.argmax())
            assert logp == pytest.approx(float(wanted[token]), abs=1e-5)
            assert thought.weight == pytest.approx(weight, abs=1e-5)
            assert thought.gain == pytest.approx(float(wanted[token] - plain[token]), abs=2e-5)
            text.append(token)


@pytest.mark.parametrize("family", FAMILIES)
def test_without_thoughts_it_is_the_plain_model(family: str):
    quiet = thinking(family)
    found = generate(quiet, PROMPTS, max_tokens=8, budget=NEVER, ends={EOS})
    for prompt, mine in zip(PROMPTS, found, strict=True):
        stock = quiet.plain.generate(
            torch.tensor([prompt]), attention_mask=torch.ones(1, len(prompt)), max_new_tokens=8, do_sample=False
        )
        assert mine.tokens == stock[0, len(prompt) :].tolist()
        assert mine.thoughts == [None] * len(mine.tokens)


@pytest.mark.parametrize("where", ["every", "entropy", "weight"])
@pytest.mark.parametrize("family", ["llama", "gpt2", "mistral"])
def test_a_batch_is_its_rows_alone_though_rows_end_and_leave(family: str, where: Any):
    quiet = thinking(family)
    budget = medium(quiet, where)
    ends = {generate(quiet, [PROMPTS[0]], max_tokens=2)[0].tokens[1], *range(2, 7)}
    together = generate(quiet, PROMPTS, max_tokens=12, budget=budget, ends=ends)
    assert len({len(one.tokens) for one in together}) > 1, "rows leave at different times"
    for prompt, one in zip(PROMPTS, together, strict=True):
        (alone,) = generate(quiet, [prompt], max_tokens=12, budget=budget, ends=ends)
        assert (one.tokens, one.ended) == (alone.tokens, alone.ended)
        assert one.logps == pytest.approx(alone.logps, abs=1e-5)
        assert [t and t.ids for t in one.thoughts] == [t and t.ids for t in alone.thoughts]


@pytest.mark.parametrize("family", ["llama", "gemma2"])
def test_entropy_decides_where_to_think(family: str):
    quiet = thinking(family)
    literally = Literally(quiet)
    with torch.no_grad():
        rows = [text for texts, _ in stepped(quiet, PROMPTS, NEVER, 3) for text in texts]
        plain = [logits_of(literally.oracle, literally.base(text)).log_softmax(-1) for text in rows]
    entropies = [float(-(logp.exp() * logp).sum()) for logp in plain]
    budget = ThinkingBudget(where="entropy", threshold=middle(entropies))
    said = [
        (row in one.ids, one.logits_BV[row])
        for texts, one in stepped(quiet, PROMPTS, budget, 3)
        for row in range(len(texts))
    ]
    assert [thought for thought, _ in said] == [entropy > budget.threshold for entropy in entropies]
    assert {thought for thought, _ in said} == {True, False}
    for (thought, logits), wanted in zip(said, plain, strict=True):
        assert thought != torch.allclose(logits.log_softmax(-1), wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", ["sampled", "pause"])
def test_the_weight_of_an_empty_thought_decides_where_to_think(kind: Kind):
    quiet = thinking("llama", kind=kind)
    literally = Literally(quiet)
    nothing = torch.empty(0, quiet.thought_tokens.width)
    with torch.no_grad():
        rows = [text for texts, _ in stepped(quiet, PROMPTS, NEVER, 3) for text in texts]
        weights = [literally.mixed(text, nothing)[1] for text in rows]
    budget = ThinkingBudget(where="weight", threshold=middle(weights))
    said = [row in one.ids for texts, one in stepped(quiet, PROMPTS, budget, 3) for row in range(len(texts))]
    assert said == [weight > budget.threshold for weight in weights]
    assert set(said) == {True, False}


def test_the_budget_bounds_thoughts_by_place_and_length():
    quiet = thinking("llama")

    def lengths(**budget: Any) -> list[int]:
        (found,) = generate(quiet, [PROMPTS[0]], max_tokens=6, budget=ThinkingBudget(**budget))
        return [0 if thought is None else len(thought.ids) for thought in found.thoughts]

    assert lengths() == [3] * 6
    assert lengths(every_nth=2) == [3, 0, 3, 0, 3, 0]
    assert lengths(first=1, tokens=7) == [7, 0, 0, 0, 0, 0]
    assert lengths(first=4, every_nth=3) == [3, 0, 0, 3, 0, 0]
    assert lengths(where="entropy", threshold=0) == [3] * 6
    assert lengths(where="entropy", threshold=math.log(VOCABULARY)) == [0] * 6


def test_rows_that_do_not_think_are_not_run():
    quiet = thinking("llama")
    rows = []
    quiet.decoder.register_forward_hook(
        lambda _module, _args, inputs, _out: rows.append(tuple(inputs["inputs_embeds"].shape[:2])), with_kwargs=True
    )
    generate(quiet, PROMPTS, max_tokens=3, budget=ThinkingBudget(first=1))
    assert rows == [(4, 8), (4, 1), *[(4, 1)] * 3, (4, 2), (4, 1), (4, 1)]  # prompts, token, thought, two tokens
    rows.clear()
    store = read_prompts(quiet, PROMPTS)
    predict(quiet, store, [prompt[-1] for prompt in PROMPTS], [0, 1, 1, 2], ThinkingBudget(every_nth=2))
    assert rows == [(4, 8), (4, 1), *[(2, 1)] * 3, (2, 2)]


@pytest.mark.parametrize("family", ["llama", "mistral", "gemma2"])
def test_pause_tokens_fill_the_thought_of_the_control(family: str):
    quiet = thinking(family, kind="pause")
    literally = Literally(quiet)
    filler = literally.oracle.vectors["pause"].detach().expand(3, -1)
    with torch.no_grad():
        for texts, said in stepped(quiet, PROMPTS, ThinkingBudget(), 2):
            assert set(said.ids.values()) == {()}
            for row, text in enumerate(texts):
                assert_same(said.logits_BV[row].log_softmax(-1), literally.mixed(text, filler)[0])


def test_random_tokens_fill_the_thought_of_the_control_and_are_of_all_kinds():
    quiet = thinking("llama", kind="random")
    literally = Literally(quiet)
    found = generate(quiet, PROMPTS * 8, max_tokens=8, seed=3)
    ids = [i for one in found for thought in one.thoughts if thought is not None for i in thought.ids]
    assert set(ids) == set(range(VOCABULARY)) - {PAD, EOS}
    one, text = found[0], list(PROMPTS[0])
    for logp, token, thought in zip(one.logps, one.tokens, one.thoughts, strict=True):
        assert thought is not None
        with torch.no_grad():
            wanted, _ = literally.mixed(text, literally.oracle.embed(list(thought.ids)))
        assert logp == pytest.approx(float(wanted[token]), abs=1e-5)
        text.append(token)


def test_thoughts_are_drawn_from_the_policy_by_inverse_distribution():
    quiet = thinking("gpt2")
    literally = Literally(quiet)
    budget = ThinkingBudget(thought_temperature=1.7)
    numbers = torch.tensor([thought_numbers(budget, 3, 5, row, 0) for row in range(4)])
    with torch.no_grad():
        for texts, said in stepped(quiet, PROMPTS, budget, 2, numbers):
            for row, text in enumerate(texts):
                thought: list[int] = []
                for number in numbers[row].tolist():
                    running = (literally.policy(text, thought).double() / 1.7).softmax(-1).cumsum(-1)
                    thought.append(int((running > number).nonzero()[0]))
                assert said.ids[row] == tuple(thought)


def test_text_is_drawn_at_its_temperature_and_rows_by_their_own_seed():
    quiet = thinking("llama")
    budget = ThinkingBudget(thought_temperature=1.0)
    many = generate(quiet, [PROMPTS[2]] * 600, max_tokens=1, temperature=1.0, budget=ThinkingBudget(), seed=1)
    counts = torch.bincount(torch.tensor([one.tokens[0] for one in many]), minlength=VOCABULARY) / 600
    (said,) = (one for _, one in stepped(quiet, [PROMPTS[2]], ThinkingBudget(), 1))
    assert 0.5 * float((counts - said.logits_BV[0].softmax(-1)).abs().sum()) < 0.1
    three = generate(quiet, PROMPTS[:3], max_tokens=5, temperature=0.8, budget=budget, seed=2)
    four = generate(quiet, PROMPTS, max_tokens=5, temperature=0.8, budget=budget, seed=2)
    other = generate(quiet, PROMPTS, max_tokens=5, temperature=0.8, budget=budget, seed=3)
    assert [one.tokens for one in three] == [one.tokens for one in four[:3]]
    assert [one.thoughts[0] and one.thoughts[0].ids for one in four] != [
        one.thoughts[0] and one.thoughts[0].ids for one in other
    ]
    assert [one.tokens for one in four] != [one.tokens for one in other]


@pytest.mark.parametrize("kind", ["sampled", "pause"])
@pytest.mark.parametrize("where", ["every", "entropy", "weight", "never"])
@pytest.mark.parametrize("family", ["llama", "mistral", "gemma2"])
def test_scoring_all_tokens_at_once_is_generating_them_one_by_one(family: str, where: Any, kind: Kind):
    quiet = thinking(family, kind=kind)
    budget = medium(quiet, where, every_nth=2)
    found = generate(quiet, PROMPTS, max_tokens=7, budget=budget)
    if where in ("entropy", "weight"):
        assert {thought is None for one in found for thought in one.thoughts[::2]} == {True, False}
    texts = [[*prompt, *one.tokens] for prompt, one in zip(PROMPTS, found, strict=True)]
    order = sorted(range(len(texts)), key=lambda row: -len(texts[row]))
    scored = list(score(quiet, [texts[row] for row in order], [len(PROMPTS[row]) for row in order], budget))
    for row, moments in zip(order, scored, strict=True):
        assert moments[:, 0].tolist() == pytest.approx(found[row].logps, abs=1e-5)


def test_scores_come_with_the_moments_of_the_mixed_prediction():
    quiet = thinking("llama")
    (found,) = score(quiet, [[*PROMPTS[0], 8]], [len(PROMPTS[0])], ThinkingBudget())
    ((_, said),) = stepped(quiet, [PROMPTS[0]], ThinkingBudget(), 1)
    logp = said.logits_BV[0].log_softmax(-1)
    mean = float((logp.exp() * logp).sum())
    wanted = [float(logp[8]), mean, float((logp.exp() * (logp - mean) ** 2).sum())]
    assert found[0].tolist() == pytest.approx(wanted, abs=1e-4)


def test_an_answer_may_use_every_position_and_not_one_more():
    quiet = quiet_of("gpt2", short_gpt2(20))
    room = 20 - len(PROMPTS[0]) - 4  # three thought tokens and their end; the last token of the answer is not fed
    (found,) = generate(quiet, [PROMPTS[0]], max_tokens=room)
    assert len(found.tokens) == room
    with pytest.raises(ConfigError, match=f"20 positions; lower max_tokens to at most {room}"):
        generate(quiet, [PROMPTS[0]], max_tokens=room + 1)
    with pytest.raises(ConfigError, match="shorten the prompt"):
        generate(quiet, [PROMPTS[0] * 2], max_tokens=1)
    (plain,) = generate(quiet, [PROMPTS[0]], max_tokens=20 - len(PROMPTS[0]), budget=NEVER)
    assert len(plain.tokens) == 20 - len(PROMPTS[0])
    with pytest.raises(ConfigError, match="20 positions"):
        generate(quiet, [PROMPTS[0]], max_tokens=21 - len(PROMPTS[0]), budget=NEVER)


@pytest.mark.parametrize(
    ("prompts", "max_tokens", "words"),
    [([[]], 3, "prompt 0 is empty"), ([[3], [99]], 3, "0 to 28"), ([[3]], 0, "max_tokens=0")],
)
def test_what_cannot_be_continued_says_why(prompts: list[list[int]], max_tokens: int, words: str):
    with pytest.raises(ConfigError, match=words):
        generate(thinking("llama"), prompts, max_tokens=max_tokens)


def test_no_prompts_give_nothing_and_the_model_keeps_its_own_attention():
    quiet = thinking("llama")
    before = quiet.plain.config._attn_implementation
    assert generate(quiet, [], max_tokens=3) == []
    generate(quiet, PROMPTS, max_tokens=2)
    assert quiet.plain.config._attn_implementation == before
