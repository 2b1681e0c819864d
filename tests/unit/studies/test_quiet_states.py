"""The state-tracking experiment: tokens, rows as functions of a step, the hold-out, and that the model learns."""

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from menon.core.seeds import rng_for
from menon.models.load import load_model, save_model
from menon.problems.permutations import State, permutations, problem, vocabulary
from menon.studies.quiet.states import (
    IDS,
    STATE_IDS,
    BaseSettings,
    base_rows,
    build_model,
    build_tokenizer,
    direct_rows,
    encode,
    good_at,
    held_out_rows,
    measure_skill,
    pretrain_states,
    thought_quality,
)

TINY = BaseSettings(steps=4, batch=4, warmup_steps=2, width=16, heads=2)


def documents(ids: Iterable[int]) -> list[list[str]]:
    """The documents of a row as words, the begin word left out."""
    words = [vocabulary()[token] for token in ids]
    assert words[0] == "<begin>"
    found: list[list[str]] = [[]]
    for word in words[1:]:
        found[-1].append(word)
        if word == ".":
            found.append([])
    assert found.pop() == []
    return found


def asked(document: list[str]) -> State:
    return State(start=int(document[0]), moves="".join(document[1 : document.index("=")]))


def test_tokenizer_gives_one_token_per_word_and_the_same_ids_as_encode() -> None:
    tokenizer = build_tokenizer()
    for index in range(50):
        text = problem("test", index).worked_text(rng_for("tokens", index), 0.5)
        ids = tokenizer(text).input_ids
        assert len(ids) == len(text.split())
        assert encode(text) == (tokenizer.bos_token_id, *ids)
        assert tokenizer.decode(ids) == text
    assert tokenizer.pad_token_id == IDS["<pad>"] == 0
    assert tokenizer.convert_ids_to_tokens(list(STATE_IDS)) == list("01234567")


def test_foreign_words_are_an_error_and_no_silent_token() -> None:
    with pytest.raises(Exception, match="WordLevel"):
        build_tokenizer()("9 a = 1 .")


def test_rows_are_pure_functions_of_seed_and_step() -> None:
    later = base_rows(3, 7, 5, good=0.5), direct_rows(3, 7, 5)
    base_rows(3, 6, 5, good=0.5)
    assert (base_rows(3, 7, 5, good=0.5), direct_rows(3, 7, 5)) == later
    assert base_rows(3, 8, 5, good=0.5) != later[0] != base_rows(4, 7, 5, good=0.5)
    assert direct_rows(3, 8, 5) != later[1] != direct_rows(4, 7, 5)
    assert held_out_rows(5, 3) == held_out_rows(5, 3) != held_out_rows(5, 4)


def test_base_rows_hold_worked_and_direct_documents_in_their_shares() -> None:
    rows = [documents(row) for step in range(8) for row in base_rows(0, step, 64, good=0.3)]
    assert all(len(row) == 2 for row in rows)
    worked = [["(" in document for document in row] for row in rows]
    assert all(any(row) for row in worked)
    assert abs(sum(not all(row) for row in worked) / len(rows) - 0.8) < 0.06
    assert 0.4 < sum(row[0] for row in worked if not all(row)) / sum(not all(row) for row in worked) < 0.6
    right = total = 0
    for row in rows:
        for document in row:
            assert document[-2] == str(asked(document).answer)
            if "(" in document:
                inner = document[document.index("(") + 1 : document.index(")")]
                right += tuple(map(int, inner)) == asked(document).rationale
                total += 1
    assert abs(right / total - 0.3) < 0.06


def test_no_row_of_either_phase_shows_a_held_out_problem() -> None:
    shown = [documents(row) for step in range(15) for row in base_rows(1, step, 64, good=0.5)]
    shown += [documents(row) for step in range(15) for row in direct_rows(1, step, 64)]
    taught = {asked(document) for row in shown for document in row}
    assert len(taught) > 4000
    assert not any(state.held_out for state in taught)
    rows = held_out_rows(700, 1)
    kept = {state for row in rows for state in row.problems}
    assert len(kept) > 1500
    assert all(state.held_out for state in kept)
    assert not kept & taught


def test_held_out_rows_say_where_to_look() -> None:
    for row in held_out_rows(40, 0, documents=3):
        assert len(row.ids) == 1 + 3 * 10
        assert [asked(document) for document in documents(row.ids)] == list(row.problems)
        assert all(row.ids[place] == IDS["="] for place in row.equals)
        assert [row.ids[place] for place in row.answers] == [IDS[str(state.answer)] for state in row.problems]


def test_thought_quality_counts_states_at_their_place() -> None:
    state = State(start=2, moves="abc")
    table, states, current = permutations(), [], 2
    for move in "abc":
        current = table[move][current]
        states.append(current)
    true = [STATE_IDS[number] for number in states]
    wrong = STATE_IDS[(states[1] + 1) % 8]
    assert thought_quality(true, state) == (1.0, True)
    assert thought_quality([*true, IDS[")"]], state) == (1.0, True)
    assert thought_quality([true[0], wrong, true[2]], state) == (pytest.approx(2 / 3), False)
    assert thought_quality(true[:2], state) == (pytest.approx(2 / 3), False)
    assert thought_quality([IDS["("], *true], state)[1] is False
    assert thought_quality([], state) == (0.0, False)


def test_rationales_turn_bad_after_the_sound_share_of_the_steps() -> None:
    settings = BaseSettings(steps=10, sound_share=0.6, good=0.25)
    assert [good_at(settings, step) for step in range(10)] == [1.0] * 6 + [0.25] * 4


def test_model_is_a_stock_llama_that_can_be_saved_and_loaded(tmp_path) -> None:
    model = build_model(BaseSettings(), 0)
    assert (model.config.model_type, model.config.attention_dropout) == ("llama", 0.0)
    assert not model.config.tie_word_embeddings
    assert 90_000 < sum(p.numel() for p in model.parameters()) < 110_000
    save_model(tmp_path, model, build_tokenizer())
    loaded = load_model(str(tmp_path), device="cpu")
    ids = torch.tensor([held_out_rows(1, 0)[0].ids])
    with torch.no_grad():
        assert torch.equal(loaded.model(ids).logits, model.eval()(ids).logits)
    text = problem("test", 0).direct_text
    assert loaded.tokenizer(text).input_ids == list(encode(text)[1:])


def test_pretraining_depends_on_its_seed_alone() -> None:
    one, same, other = (pretrain_states(seed, TINY) for seed in (0, 0, 1))
    assert not one.training
    weights = [torch.cat([p.flatten() for p in model.parameters()]) for model in (one, same, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.allclose(weights[0], weights[2])


class Oracle:
    """Answers like a model that knows the permutations: it would open a bracket first, and thinks right or always 0."""

    def __init__(self, thinks: bool):
        self.thinks = thinks

    def __call__(self, input_ids: torch.Tensor, use_cache: bool) -> SimpleNamespace:
        logits = torch.zeros(*input_ids.shape, len(IDS))
        for row, ids in enumerate(input_ids.tolist()):
            words = [vocabulary()[token] for token in ids][1:]
            state = asked(words)
            if words[-1] == "=":
                logits[row, -1, IDS["("]] = 40
                logits[row, -1, STATE_IDS[state.answer]] = 30
            elif words[-1] == ")":
                logits[row, -1, IDS[words[-2]]] = 40
            else:
                done = len(words) - words.index("(") - 1
                logits[row, -1, STATE_IDS[state.rationale[done] if self.thinks else 0]] = 40
        return SimpleNamespace(logits=logits)


@pytest.mark.parametrize("thinks", [True, False])
def test_skill_is_what_an_oracle_has(thinks: bool) -> None:
    oracle: Any = Oracle(thinks)
    skill = measure_skill(oracle, 200, 0)
    assert (skill.reading, skill.direct, skill.direct_first) == (1.0, 1.0, 0.0)
    assert skill.reading_probability == pytest.approx(1.0)
    assert skill.direct_nll == pytest.approx(10.0, abs=1e-3)
    if thinks:
        assert (skill.right_states, skill.right_thoughts) == (1.0, 1.0)
    else:
        assert 0.08 < skill.right_states < 0.17
        assert skill.right_thoughts == 0.0


def test_a_short_training_teaches_to_read_a_rationale() -> None:
    settings = BaseSettings(moves=2, steps=100, batch=16, warmup_steps=10, sound_share=1.0)
    before = measure_skill(build_model(settings, 0).eval(), 64, 0, n=2)
    after = measure_skill(pretrain_states(0, settings), 64, 0, n=2)
    assert before.reading_probability < 0.3
    assert after.reading > 0.9
    assert after.reading_probability > 0.7
