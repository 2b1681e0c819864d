"""Thoughts run together against thoughts run one by one, and what is sampled against what is then learned from."""

import pytest
import torch
from quiet_models import BUILDERS, EOS, PAD, VOCABULARY, WINDOW, given, oracle_of, quiet_of
from quiet_oracle import Thinking, packed_hidden, some_thinking
from torch import Tensor

from menon.core.seeds import seed_for
from menon.models.thoughts.layout import ThoughtShape, every_place, given_places, uniform_places
from menon.models.thoughts.passes import draw, sample_thoughts, text_pass, think
from menon.models.thoughts.quiet import QuietModel

PLACES = {
    "every": None,
    "uniform": ((1, 4, 5), (0, 2, 4)),
    "uneven": ((0, 9), (3,)),
    "none in one row": ((2, 5, 6), ()),
}
EAGER = {"gemma2", "gpt_oss"}  # transformers' sdpa function knows neither soft caps nor sinks
MIXED = {"gemma2", "gemma3", "gpt_oss", "qwen2"}  # layers with a window and layers without
WINDOWED = MIXED | {"mistral", "starcoder2"}


def thoughts_of(quiet: QuietModel, case: Thinking) -> tuple[Tensor, Tensor]:
    """Hidden states of text and thoughts; NaN at thoughts that count for nothing."""
    places, thoughts_BMPK, shape = given(case)
    with torch.no_grad():
        text = text_pass(quiet, case.tokens_BL)
        hidden = think(quiet, text, case.tokens_BL, places, thoughts_BMPK, shape).hidden_BMPTD
    return text.hidden_BLD, hidden.masked_fill(~places.valid_BM[:, :, None, None, None], torch.nan)


def assert_same(found: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5, equal_nan=True)


def uniforms(name: str, *shape: int) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed_for("quiet uniforms", name)))


@pytest.mark.parametrize("family", BUILDERS)
def test_thoughts_are_those_of_the_model_run_on_each_literal_sequence(family: str) -> None:
    quiet = quiet_of(family)
    oracle = oracle_of(quiet)
    for name, positions in PLACES.items():
        case = some_thinking(f"{family} {name}", lengths=(12, 7), positions=positions, thought=4, talk=2)
        text_BLD, thought_BMPTD = thoughts_of(quiet, case)
        assert_same(thought_BMPTD, oracle.thoughts(case))
        with torch.no_grad():
            for b, length in enumerate(case.lengths):
                assert_same(text_BLD[b, :length], oracle.text(case, b))


@pytest.mark.parametrize("family", BUILDERS)
def test_thoughts_are_those_of_stock_attention_with_the_mask_written_out(family: str) -> None:
    quiet = quiet_of(family)
    oracle = oracle_of(quiet)
    case = some_thinking(family, lengths=(11, 9))
    _, thought_BMPTD = thoughts_of(quiet, case)
    for b, positions in enumerate(case.positions):
        wanted = packed_hidden(
            oracle,
            case,
            b,
            attention="eager" if family in EAGER else "sdpa",
            window=WINDOW if family in WINDOWED else None,
            mixed=family in MIXED,
        )
        assert_same(thought_BMPTD[b, : len(positions)], wanted)


@pytest.mark.parametrize(("thought", "talk", "passes"), [(1, 1, 1), (1, 3, 2), (7, 1, 3), (6, 4, 1)])
@pytest.mark.parametrize("family", ["llama", "mistral", "gpt_oss"])
def test_every_length_of_thought_and_talk(family: str, thought: int, talk: int, passes: int) -> None:
    quiet = quiet_of(family)
    case = some_thinking("lengths", lengths=(8, 9), thought=thought, talk=talk, passes=passes)
    assert_same(thoughts_of(quiet, case)[1], oracle_of(quiet).thoughts(case))


def test_the_pause_vector_stands_where_a_thought_has_no_token() -> None:
    quiet = quiet_of("llama")
    case = some_thinking("pause", lengths=(8,))
    row = tuple(tuple((-1, thought[1], -1) for thought in place) for place in case.thoughts[0])
    paused = Thinking(
        tokens_BL=case.tokens_BL, lengths=case.lengths, positions=case.positions, thoughts=(row,), talk=case.talk
    )
    assert_same(thoughts_of(quiet, paused)[1], oracle_of(quiet).thoughts(paused))


def test_policy_and_talk_rows_are_those_that_predict_thought_and_true_tokens() -> None:
    quiet = quiet_of("llama")
    case = some_thinking("rows", lengths=(9,), thought=3, talk=2)
    places, thoughts_BMPK, shape = given(case)
    result = think(quiet, text_pass(quiet, case.tokens_BL), case.tokens_BL, places, thoughts_BMPK, shape)
    # rows: start, k1, k2, k3, end, true i+1
    assert torch.equal(result.policy_BMPKD, result.hidden_BMPTD[:, :, :, [0, 1, 2]])
    assert torch.equal(result.talk_BMPND, result.hidden_BMPTD[:, :, :, [4, 5]])


@pytest.mark.parametrize("family", BUILDERS)
def test_sampling_sees_what_the_gradient_pass_sees(family: str) -> None:
    """Greedily, and by uniform numbers, the tokens are those of the gradient pass' own policy logits."""
    quiet = quiet_of(family)
    case = some_thinking(family, lengths=(12, 9))
    shape = ThoughtShape(tokens=4, talk=2)
    places = every_place(torch.tensor(case.lengths), shape)
    with torch.no_grad():
        text = text_pass(quiet, case.tokens_BL)
        uniforms_BMPK = uniforms(family, *places.positions_BM.shape, 3, 4)
        for temperature in (0.0, 1.0, 0.5):
            thoughts_BMPK = sample_thoughts(quiet, text, places, shape, uniforms_BMPK, temperature)
            policy = think(quiet, text, case.tokens_BL, places, thoughts_BMPK, shape).policy_BMPKD
            logits = quiet.readout.logits(policy).double()
            logits[..., [PAD, EOS]] = -torch.inf
            if temperature == 0.0:
                assert torch.equal(thoughts_BMPK, logits.argmax(-1))
                continue
            above = (logits / temperature).softmax(-1).cumsum(-1)
            below = torch.cat([torch.zeros_like(above[..., :1]), above[..., :-1]], -1)
            low, high = (edge.gather(-1, thoughts_BMPK[..., None])[..., 0] for edge in (below, above))
            assert (low - 1e-5 <= uniforms_BMPK).all()
            assert (uniforms_BMPK <= high + 1e-5).all()
            assert ((high - low) > 1e-5).any()


@pytest.mark.parametrize("family", ["llama", "mistral", "gemma2", "gpt_oss"])
def test_every_step_of_sampling_has_the_hidden_states_of_the_gradient_pass(
    family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = quiet_of(family)
    case = some_thinking(family, lengths=(12, 9))
    places, _, shape = given(case)
    seen: list[Tensor] = []
    plain = quiet.readout.logits

    def logits(hidden: Tensor) -> Tensor:
        seen.append(hidden)
        return plain(hidden)

    with torch.no_grad():
        text = text_pass(quiet, case.tokens_BL)
        monkeypatch.setattr(quiet.readout, "logits", logits)
        thoughts_BMPK = sample_thoughts(quiet, text, places, shape, uniforms("s", *places.positions_BM.shape, 2, 3))
        monkeypatch.undo()
        policy = think(quiet, text, case.tokens_BL, places, thoughts_BMPK, shape).policy_BMPKD
    assert len(seen) == shape.tokens
    assert_same(torch.stack(seen, -2).view(policy.shape), policy)


def test_some_of_the_positions_think_what_they_think_among_all() -> None:
    quiet = quiet_of("mistral")
    case = some_thinking("subset", lengths=(12, 8))
    shape = ThoughtShape(tokens=3, talk=2)
    lengths_B = torch.tensor(case.lengths)
    everywhere = every_place(lengths_B, shape)
    some = uniform_places(lengths_B, shape, 4, torch.Generator().manual_seed(seed_for("subset")))
    assert some.valid_BM.all()
    assert some.positions_BM.shape == (2, 4)
    uniforms_BMPK = uniforms("subset", 2, everywhere.positions_BM.shape[1], 2, 3)
    index = some.positions_BM  # every_place counts up from 0, so a position is its own place
    rows = torch.arange(2)[:, None]
    with torch.no_grad():
        text = text_pass(quiet, case.tokens_BL)
        all_BMPK = sample_thoughts(quiet, text, everywhere, shape, uniforms_BMPK)
        some_BMPK = sample_thoughts(quiet, text, some, shape, uniforms_BMPK[rows, index])
        assert torch.equal(some_BMPK, all_BMPK[rows, index])
        whole = think(quiet, text, case.tokens_BL, everywhere, all_BMPK, shape).hidden_BMPTD
        part = think(quiet, text, case.tokens_BL, some, some_BMPK, shape).hidden_BMPTD
    assert_same(part, whole[rows, index])


def test_banned_ids_are_never_sampled_and_frequencies_follow_the_temperature(monkeypatch: pytest.MonkeyPatch) -> None:
    """20000 first tokens at one place against the softmax, by a chi-square of at most 26 degrees of freedom."""
    quiet = quiet_of("llama")
    draws, shape, banned = 20_000, ThoughtShape(tokens=1, talk=1), torch.tensor([PAD, EOS])
    plain = quiet.readout.logits

    def favouring_what_is_banned(hidden_XD: Tensor) -> Tensor:
        logits_XV = plain(hidden_XD)
        return logits_XV.index_copy(-1, banned, logits_XV[..., banned] + 4)

    monkeypatch.setattr(quiet.readout, "logits", favouring_what_is_banned)
    tokens_BL = torch.tensor([[7, 8, 9, 10, 11]])
    places = given_places([[2]], torch.tensor([5]), shape)
    entropies = []
    with torch.no_grad():
        text = text_pass(quiet, tokens_BL)
        policy = think(quiet, text, tokens_BL, places, torch.full((1, 1, 1, 1), 2), shape).policy_BMPKD[0, 0, 0, 0]
        allowed_V = plain(policy).double().index_fill(0, banned, -torch.inf)
        for temperature in (0.5, 1.0, 2.0):
            numbers = uniforms(f"chi {temperature}", 1, 1, draws, 1)
            ids = sample_thoughts(quiet, text, places, shape, numbers, temperature)
            counts_V = torch.bincount(ids.flatten(), minlength=VOCABULARY).double()
            assert counts_V[banned].sum() == 0
            wanted_V = draws * (allowed_V / temperature).softmax(-1)
            likely_V = wanted_V >= 5
            chi_square = ((counts_V - wanted_V).square() / wanted_V)[likely_V].sum()
            assert chi_square < 58  # 99.97 % of all draws are below
            entropies.append(float(torch.special.entr(counts_V / draws).sum()))
    assert entropies[0] + 0.2 < entropies[1] < entropies[2] - 0.2


def test_greedy_thoughts_do_not_depend_on_the_random_numbers() -> None:
    quiet = quiet_of("qwen3")
    case = some_thinking("greedy", lengths=(10,))
    places, _, shape = given(case)
    text = text_pass(quiet, case.tokens_BL)
    size = (*places.positions_BM.shape, 2, shape.tokens)
    one, other = (sample_thoughts(quiet, text, places, shape, uniforms(n, *size), 0.0) for n in ("one", "other"))
    assert torch.equal(one, other)
    assert torch.equal(one[:, :, 0], one[:, :, 1])
    warm, hot = (sample_thoughts(quiet, text, places, shape, uniforms(n, *size), 1.0) for n in ("one", "other"))
    assert not torch.equal(warm, hot)
    again = sample_thoughts(quiet, text, places, shape, uniforms("one", *size), 1.0)
    assert torch.equal(warm, again)


def test_a_number_at_either_end_draws_a_token_that_can_be_drawn() -> None:
    logits_XV = torch.tensor([[0.0, 1.0, 2.0, -1e9], [3.0, 0.0, 0.0, -1e9]])
    for banned in ((), (0,), (0, 1)):
        first = draw(logits_XV, torch.zeros(2), 1.0, banned)
        last = draw(logits_XV, torch.full((2,), 1 - 2**-24), 1.0, banned)
        assert first.tolist() == [len(banned)] * 2
        assert last.tolist() == [2, 2]
