"""A thought sees its own past and nothing else; the text sees no thought; and what is mixed belongs together."""

from collections.abc import Iterator

import pytest
import torch
from quiet_models import BUILDERS, VOCABULARY, given, quiet_of
from quiet_oracle import Thinking, some_thinking
from torch import Tensor, nn
from torch.nn import functional

from menon.core.seeds import seed_for
from menon.models.thoughts.layout import Places
from menon.models.thoughts.mixing import mix_hidden
from menon.models.thoughts.passes import TextPass, sample_thoughts, talk_partners, text_pass, think, true_tokens
from menon.models.thoughts.quiet import QuietModel
from menon.teaching.quiet.losses import mixed_predictions

FAMILIES = ["llama", "gpt2", "mistral", "gemma2", "gpt_oss"]
HEADED = ["llama", "gpt2", "gemma2", "granite", "cohere"]  # the last three cap or scale their logits


def hidden_of(quiet: QuietModel, case: Thinking, tokens_BL: Tensor, thoughts_BMPK: Tensor | None = None) -> Tensor:
    places, own_BMPK, shape = given(case)
    with torch.no_grad():
        text = text_pass(quiet, tokens_BL)
        return think(
            quiet, text, tokens_BL, places, own_BMPK if thoughts_BMPK is None else thoughts_BMPK, shape
        ).hidden_BMPTD


def changes_of_text(case: Thinking) -> Iterator[tuple[int, Tensor]]:
    """Yield the texts with one token exchanged, and where."""
    for j in range(case.tokens_BL.shape[1]):
        tokens_BL = case.tokens_BL.clone()
        tokens_BL[:, j] = (tokens_BL[:, j] - 2 + 7) % (VOCABULARY - 2) + 2
        yield j, tokens_BL


def unchanged(one_XD: Tensor, other_XD: Tensor, family: str) -> Tensor:
    """Tell which rows are the same to the last bit; in a mixture of experts rows share products, so nearly."""
    return (one_XD - other_XD).abs().amax(-1) <= (1e-5 if family == "gpt_oss" else 0)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_token_reaches_only_thoughts_after_it_and_talk_rows_that_are_fed_it(family: str) -> None:
    quiet = quiet_of(family)
    case = some_thinking(f"causal {family}", lengths=(9,), thought=3, talk=3, passes=1)
    places, _, shape = given(case)
    plain = hidden_of(quiet, case, case.tokens_BL)[0, :, 0]
    end = shape.tokens + 1  # row of the end vector, from which talk step 0 predicts token i + 1
    for j, tokens_BL in changes_of_text(case):
        changed = hidden_of(quiet, case, tokens_BL)[0, :, 0]
        for i in range(places.positions_BM.shape[1]):
            same = unchanged(changed[i], plain[i], family).tolist()
            if j > i:
                assert all(same[: end + 1]), f"token {j} reached the thought after {i}"
                for step in range(shape.talk):
                    assert same[end + step] == (j > i + step), f"token {j}, talk step {step} after {i}"
            elif j == i:
                assert not any(same)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_sampled_does_not_depend_on_later_text(family: str) -> None:
    quiet = quiet_of(family)
    case = some_thinking("sampled", lengths=(9,))
    places, _, shape = given(case)
    uniforms = torch.rand(1, 7, 2, 3, generator=torch.Generator().manual_seed(seed_for("sampled")))
    plain = sample_thoughts(quiet, text_pass(quiet, case.tokens_BL), places, shape, uniforms)
    differences = 0
    for j, tokens_BL in changes_of_text(case):
        changed = sample_thoughts(quiet, text_pass(quiet, tokens_BL), places, shape, uniforms)
        assert torch.equal(changed[:, :j], plain[:, :j])
        differences += int((changed[:, j:] != plain[:, j:]).sum())
    assert differences > 0


@pytest.mark.parametrize("family", FAMILIES)
def test_a_thought_token_reaches_only_later_rows_of_its_own_thought(family: str) -> None:
    quiet = quiet_of(family)
    case = some_thinking(f"isolated {family}", lengths=(8, 6), thought=3, talk=2, passes=2)
    _, thoughts_BMPK, shape = given(case)
    plain = hidden_of(quiet, case, case.tokens_BL)
    for b, m, p in case.each():
        for k in range(shape.tokens):
            other = thoughts_BMPK.clone()
            other[b, m, p, k] = (other[b, m, p, k] - 2 + 7) % (VOCABULARY - 2) + 2
            same = unchanged(hidden_of(quiet, case, case.tokens_BL, other), plain, family)
            reached = torch.zeros_like(same)
            reached[b, m, p, k + 1 :] = True
            assert torch.equal(same, ~reached)


def test_a_random_number_reaches_only_later_tokens_of_its_own_thought() -> None:
    quiet = quiet_of("llama")
    case = some_thinking("numbers", lengths=(8, 7))
    places, _, shape = given(case)
    text = text_pass(quiet, case.tokens_BL)
    uniforms = torch.rand(2, 6, 2, 3, generator=torch.Generator().manual_seed(seed_for("numbers")))
    plain = sample_thoughts(quiet, text, places, shape, uniforms)
    for b, m, p in case.each():
        for k in range(shape.tokens):
            moved = uniforms.clone()
            moved[b, m, p, k] = (moved[b, m, p, k] + 0.5) % 1
            same = sample_thoughts(quiet, text, places, shape, moved) == plain
            same[b, m, p, k + 1 :] = True  # may differ, or may not
            assert not same[b, m, p, k], "half of the distribution further on stands another token"
            same[b, m, p, k] = True
            assert same.all()


@pytest.mark.parametrize("family", BUILDERS)
def test_the_text_does_not_notice_that_there_are_thoughts(family: str) -> None:
    quiet = quiet_of(family)
    case = some_thinking("unnoticed", lengths=(9, 6))
    places, thoughts_BMPK, shape = given(case)
    with torch.no_grad():
        stock = quiet.model(input_ids=case.tokens_BL, use_cache=False).logits
        text = text_pass(quiet, case.tokens_BL)
        before = [tensor.clone() for tensor in [text.hidden_BLD, *(x for pair in text.base.values() for x in pair)]]
        sample_thoughts(quiet, text, places, shape, torch.full(thoughts_BMPK.shape, 0.3))
        think(quiet, text, case.tokens_BL, places, thoughts_BMPK, shape)
        after = [text.hidden_BLD, *(x for pair in text.base.values() for x in pair)]
        assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
        logits = quiet.readout.logits(text.hidden_BLD)
    for b, length in enumerate(case.lengths):
        torch.testing.assert_close(logits[b, :length], stock[b, :length], rtol=0, atol=1e-5)


def test_partner_and_label_of_talk_step_s_are_position_i_plus_s_and_the_token_after_it() -> None:
    tokens_BL = torch.arange(100, 110).expand(2, -1)
    hidden_BLD = torch.arange(10.0)[None, :, None] + torch.tensor([0.0, 1000.0])[:, None, None]
    places = Places(positions_BM=torch.tensor([[0, 4, 6], [1, 2, 0]]), valid_BM=torch.tensor([[True] * 3] * 2))
    steps = torch.arange(3)
    partners = talk_partners(hidden_BLD, places, 3)[..., 0]
    assert torch.equal(partners[0], places.positions_BM[0, :, None] + steps.float())
    assert torch.equal(partners[1], 1000 + places.positions_BM[1, :, None] + steps.float())
    assert torch.equal(true_tokens(tokens_BL, places, 3), 100 + places.positions_BM[..., None] + 1 + steps)


class Always(nn.Module):
    """A mixing head with one weight everywhere."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, base_XD: Tensor, thought_XD: Tensor) -> Tensor:
        assert base_XD.shape == thought_XD.shape
        return torch.full(base_XD.shape[:-1], self.weight)


def passes_of(quiet: QuietModel, case: Thinking) -> tuple[TextPass, Places, Tensor]:
    places, thoughts_BMPK, shape = given(case)
    text = text_pass(quiet, case.tokens_BL)
    return text, places, think(quiet, text, case.tokens_BL, places, thoughts_BMPK, shape).talk_BMPND


@pytest.mark.parametrize("family", HEADED)
def test_with_weight_0_the_mixture_is_the_plain_model_and_with_1_the_thought(family: str) -> None:
    quiet = quiet_of(family)
    case = some_thinking("weights", lengths=(9,), talk=3)
    with torch.no_grad():
        text, places, talk_BMPND = passes_of(quiet, case)
        stock_LV = quiet.model(input_ids=case.tokens_BL, use_cache=False).logits[0]
        partner = talk_partners(text.hidden_BLD, places, 3)[:, :, None].expand(talk_BMPND.shape)
        zero, one = (torch.full(partner.shape[:-1], w) for w in (0.0, 1.0))
        without = quiet.readout.logits(mix_hidden(partner, talk_BMPND, zero))
        thought = quiet.readout.logits(mix_hidden(partner, talk_BMPND, one))
        assert torch.equal(thought, quiet.readout.logits(talk_BMPND))
    for m, p, s in torch.cartesian_prod(*(torch.arange(n) for n in without.shape[1:4])).tolist():
        torch.testing.assert_close(without[0, m, p, s], stock_LV[m + s], rtol=0, atol=1e-5)
    assert (thought - without).abs().max() > 0.1


@pytest.mark.parametrize("mixing", ["hidden", "log_probs"])
@pytest.mark.parametrize("family", HEADED)
def test_cross_entropy_at_weight_0_is_that_of_the_plain_model(family: str, mixing: str) -> None:
    quiet = quiet_of(family)
    quiet.settings = quiet.settings.model_copy(update={"mixing": mixing})
    case = some_thinking("cross entropy", lengths=(9,), talk=2)
    places, thoughts_BMPK, shape = given(case)
    with torch.no_grad():
        text = text_pass(quiet, case.tokens_BL)
        thought = think(quiet, text, case.tokens_BL, places, thoughts_BMPK, shape)
        stock_LV = quiet.model(input_ids=case.tokens_BL, use_cache=False).logits[0]
        thought_BMPNV = quiet.readout.logits(thought.talk_BMPND)
        found = {}
        for weight in (0.0, 1.0):
            quiet.head = Always(weight)  # pyright: ignore[reportAttributeAccessIssue]
            found[weight] = mixed_predictions(quiet, text, case.tokens_BL, places, thought)
    labels = case.tokens_BL[0]
    for m in range(places.positions_BM.shape[1]):
        for s in range(shape.talk):
            plain = -functional.cross_entropy(stock_LV[m + s], labels[m + s + 1])
            for p in range(2):
                alone = -functional.cross_entropy(thought_BMPNV[0, m, p, s], labels[m + s + 1])
                assert float(found[0.0].logp_BMPN[0, m, p, s]) == pytest.approx(float(plain), abs=1e-5)
                assert float(found[1.0].logp_BMPN[0, m, p, s]) == pytest.approx(float(alone), abs=1e-5)
