"""The teaching unit when it is stopped in awkward places, the rows it learns from, and what is told of problems."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from menon.core.errors import ConfigError, Diverged  # noqa: E402
from menon.core.progress import Silent  # noqa: E402
from menon.core.recipe import dump_toml, load_recipe  # noqa: E402
from menon.core.values import Problem  # noqa: E402
from menon.models.load import load_tokenizer  # noqa: E402
from menon.models.thoughts.quiet import QuietModel, make_quiet  # noqa: E402
from menon.models.thoughts.settings import ThoughtSettings  # noqa: E402
from menon.store import Run  # noqa: E402
from menon.studies.plan import quiet_star_plan  # noqa: E402
from menon.studies.quiet import learning  # noqa: E402
from menon.studies.quiet.material import gather_texts  # noqa: E402
from menon.studies.quiet.teach_recipe import QuietStar  # noqa: E402
from menon.teaching.doctor import Finding  # noqa: E402
from menon.teaching.quiet.step import TextBatch  # noqa: E402
from menon.teaching.quiet.watch import Watch  # noqa: E402

SETS = (
    "thoughts.tokens=2", "thoughts.talk=1", 'thoughts.start="a"', 'thoughts.end="b"', "quiet.steps=6", "quiet.passes=2",
    "quiet.positions=3", "quiet.token_rate=1.0", "quiet.head_rate=1.0", "train.learning_rate=1e-2",
    "train.accumulate=1", "save_every=2",
)  # fmt: skip


def recipe_of(*sets: str) -> QuietStar:
    return load_recipe("quiet-star", QuietStar, ["model='here'", *SETS, *sets])


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import WhitespaceSplit
    from transformers import PreTrainedTokenizerFast

    made = Tokenizer(WordLevel({word: i for i, word in enumerate(["<unk>", "<end>", *"abcdefgh"])}, unk_token="<unk>"))
    made.pre_tokenizer = WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=made, unk_token="<unk>", eos_token="<end>", pad_token="<end>")


@pytest.fixture
def fresh(tokenizer: Any) -> Callable[[], QuietModel]:
    """Make the same thinking model again and again."""
    from transformers import LlamaConfig, LlamaForCausalLM

    def make() -> QuietModel:
        torch.manual_seed(0)
        shape: dict[str, Any] = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1}
        config = LlamaConfig(vocab_size=10, num_attention_heads=2, max_position_embeddings=32, **shape)
        settings = ThoughtSettings(tokens=2, talk=1, start="a", end="b")
        return make_quiet(LlamaForCausalLM(config), tokenizer, settings)

    return make


def batch_at(number: int) -> TextBatch:
    tokens_BL = torch.randint(2, 10, (2, 9), generator=torch.Generator().manual_seed(number))
    return TextBatch(tokens_BL=tokens_BL, lengths_B=torch.tensor([9, 9]), weights_BL=torch.ones(2, 9))


class Learner:
    """Teaches in a run's folder, again and again, each time as a new process would."""

    def __init__(self, folder: Path, recipe: QuietStar, fresh: Callable[[], QuietModel], tokenizer: Any):
        self.folder, self.recipe, self.fresh, self.tokenizer = folder, recipe, fresh, tokenizer

    def learn(self, texts: Callable[[QuietModel, int], TextBatch] | None = None, force: bool = True) -> dict[str, Any]:
        quiet = self.fresh()

        def batches(number: int) -> TextBatch:
            return texts(quiet, number) if texts else batch_at(number)

        with Run.create_or_resume(self.folder, recipe_toml=dump_toml(self.recipe), manifest={}) as run:
            return learning.learn(run, self.recipe, quiet, self.tokenizer, batches, force=force, progress=Silent())

    @property
    def checkpoints(self) -> dict[str, bytes]:
        root = self.folder / "checkpoints"
        return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


class Killed(BaseException):
    pass


@pytest.mark.parametrize("sets", [(), ("quiet.curriculum=[3,2]", "quiet.thoughtless=true")])
def test_a_kill_between_the_checkpoint_and_the_commit_loses_nothing(
    tmp_path: Path, fresh: Any, tokenizer: Any, monkeypatch: pytest.MonkeyPatch, sets: tuple[str, ...]
):
    recipe = recipe_of(*sets)
    whole = Learner(tmp_path / "whole", recipe, fresh, tokenizer)
    taught = whole.learn()
    other = Learner(tmp_path / "killed", recipe, fresh, tokenizer)
    with monkeypatch.context() as patch:
        save = learning.save_quiet

        def killed(*args: Any) -> None:
            save(*args)
            raise Killed

        patch.setattr(learning, "save_quiet", killed)
        with pytest.raises(Killed):
            other.learn()
    asked: list[int] = []

    def texts(_: QuietModel, number: int) -> TextBatch:
        asked.append(number)
        return batch_at(number)

    assert other.learn(texts) == taught
    assert asked == [4, 5]  # from the state that was saved last
    assert other.checkpoints == whole.checkpoints
    assert {name.split("/")[0] for name in whole.checkpoints} == {"quiet"}


def test_what_was_said_before_a_kill_is_said_again(
    tmp_path: Path, fresh: Any, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
):
    def see(_: Watch, step: Any) -> list[Finding]:
        return [Finding(level="warn", what=f"seen {step.step}", mend="nothing")] if step.step in (1, 4) else []

    monkeypatch.setattr(Watch, "see", see)
    learner = Learner(tmp_path / "run", recipe_of(), fresh, tokenizer)

    def texts(_: QuietModel, number: int) -> TextBatch:
        if number == 3:
            raise Killed
        return batch_at(number)

    with pytest.raises(Killed):
        learner.learn(texts)
    assert learner.learn()["alarms"] == ["step 2: seen 1 -> nothing", "step 5: seen 4 -> nothing"]


def test_broken_weights_never_take_the_place_of_a_saved_state(tmp_path: Path, fresh: Any, tokenizer: Any):
    learner = Learner(tmp_path / "run", recipe_of(), fresh, tokenizer)

    def texts(quiet: QuietModel, number: int) -> TextBatch:
        if number == 3:
            with torch.no_grad():
                quiet.thought_tokens.pause[0] = float("nan")  # read by no sampled thought: no loss will show it
        return batch_at(number)

    with pytest.raises(Diverged, match=r"step 4 of 6 left thought_tokens\.pause not finite; the state that was saved"):
        learner.learn(texts)
    asked: list[int] = []

    def again(_: QuietModel, number: int) -> TextBatch:
        asked.append(number)
        return batch_at(number)

    whole = Learner(tmp_path / "whole", recipe_of(), fresh, tokenizer)
    assert learner.learn(again) == whole.learn()
    assert asked == [2, 3, 4, 5]
    assert learner.checkpoints == whole.checkpoints


def test_rows_depend_on_the_seed_and_the_number_alone(tokenizer: Any, tmp_path: Path):
    path = tmp_path / "t.jsonl"
    lines = [json.dumps({"text": " ".join("abcdefgh"[(i * k) % 8] for k in range(1, 12)) + f" {'ab'[i % 2]}" * (i % 5)})
             for i in range(60)]  # fmt: skip
    path.write_text("\n".join(lines), encoding="utf-8")
    sets = (f"texts.data={json.dumps(str(path))}", "texts.length=10", "texts.held_out=0.3", "texts.packing='none'")
    one, same, other = (
        gather_texts(recipe_of(*sets, f"seed={seed}"), tokenizer, Silent()) for seed in (0, 0, 1)
    )  # fmt: skip
    for number in (0, 3, 40):
        assert torch.equal(one.batch(number).tokens_BL, same.batch(number).tokens_BL)
    assert any(not torch.equal(one.batch(n).tokens_BL, other.batch(n).tokens_BL) for n in range(5))
    assert one.rows_alone(1)[0].tokens_BL.shape[0] == 1
    assert sum(len(batch.lengths_B) for batch in one.held_out_batches) == len(one.held_out)
    assert "texts, layout text" in one.told[0]


def test_a_model_without_data_has_none_and_the_embedded_one_needs_enough():
    tokenizer = load_tokenizer("menon:base")
    with pytest.raises(ConfigError, match=r"'here' has no text of its own here; give texts with --data"):
        gather_texts(recipe_of(), tokenizer, Silent())
    few = recipe_of("model='menon:base'", "texts.generated=12", "evaluation.rows=64")
    with pytest.raises(ConfigError, match=r"texts\.generated = 12 gives \d+ documents .* set texts\.generated to 128"):
        gather_texts(few, tokenizer, Silent())
    enough = gather_texts(
        recipe_of("model='menon:base'", "texts.generated=60", "evaluation.rows=9"), tokenizer, Silent()
    )
    assert isinstance(enough.learnt, list)
    learnt = {row.ids for row in enough.learnt}
    assert len(enough.held_out) == 9
    assert not learnt & {row.ids for row in enough.held_out}


def test_the_command_says_what_was_asked_for(tmp_path: Path):
    plan = quiet_star_plan(
        model="./m", data="x.jsonl", overrides=["quiet.steps=3"], out=tmp_path / "r", limit=5, map={"text": "body"}
    )
    assert plan.command.startswith("menon teach quiet-star --model ./m --data x.jsonl --limit 5 --map text=body --out ")
    assert plan.command.endswith("--set quiet.steps=3")
    recipe = plan.recipe
    assert isinstance(recipe, QuietStar)
    assert (recipe.texts.data, recipe.texts.limit, recipe.texts.map, recipe.quiet.steps) == (
        "x.jsonl", 5, {"text": "body"}, 3
    )  # fmt: skip
    base = quiet_star_plan(model="menon:base", data=None).recipe
    assert isinstance(base, QuietStar)
    assert base.thoughts.start == "="


def test_problems_asked_before_and_after_are_compared_in_pairs():
    from types import SimpleNamespace

    from menon.stats import paired_difference
    from menon.studies.quiet.asked import asked_report

    def graded(rights: list[int]) -> Any:
        problem = Problem(family="chain", question="q", answer="1", difficulty=1)
        return [SimpleNamespace(problem=problem, grade=SimpleNamespace(right=bool(right))) for right in rights]

    before, plain, thinking = [0, 0, 1, 0, 1, 0], [0, 1, 1, 0, 1, 0], [1, 1, 1, 0, 1, 1]
    (row,) = asked_report(graded(before), graded(plain), graded(thinking))["rows"]
    change = paired_difference([float(b) for b in before], [float(t) for t in thinking])
    assert (row["name"], row["n"]) == ("chain, difficulty 1", 6)
    assert [row[name]["value"] for name in ("before", "plain", "thinking")] == pytest.approx([2 / 6, 3 / 6, 5 / 6])
    assert row["difference"] == {"value": pytest.approx(0.5), "low": change.low, "high": change.high}
