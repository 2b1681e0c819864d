"""Recipes: what is accepted, what is refused and with which words, and the way to TOML and back."""

import enum
import math
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, field_validator, model_validator

from menon.core import recipe as recipe_module
from menon.core.errors import ConfigError
from menon.core.recipe import Section, dump_toml, load_recipe, recipe_hash
from menon.core.toml import differences, toml_hash, write_toml


class Mode(enum.StrEnum):
    RESTART = "restart"
    CONTINUE = "continue"


class Optimizer(Section):
    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.95)


class Teaching(Section):
    rounds: int = 3
    mode: Mode = Mode.RESTART
    optimizer: Optimizer = Optimizer()
    limit: int | None = None

    @field_validator("rounds")
    @classmethod
    def _positive(cls, value: int) -> int:
        if value < 1:
            raise ValueError("rounds must be at least 1")
        return value


class Local(Section):
    kind: Literal["local"] = "local"
    slots: int = 128


class Endpoint(Section):
    kind: Literal["endpoint"]
    url: str


class Recipe(Section):
    model: str
    tag: str = ""
    data: Path = Path("data.jsonl")
    teaching: Teaching = Teaching()
    families: tuple[Optimizer, ...] = ()
    sampler: Annotated[Local | Endpoint, Field(discriminator="kind")] = Local()
    extra: dict[str, float] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _check(self) -> "Recipe":
        if self.tag == "impossible":
            raise ValueError("tag and model do not go together")
        return self


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str) -> str:
        (tmp_path / "r.toml").write_text(text, encoding="utf-8")
        return str(tmp_path / "r.toml")

    return write


def refused(path: str, *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_recipe(path, Recipe, overrides)
    return str(caught.value)


def test_nested_sections_and_types_come_out_as_declared(write):
    path = write(
        "\ufeffmodel = 'menon:base'\ndata = 'x/y.jsonl'\n[teaching]\nmode = 'continue'\n"
        "[teaching.optimizer]\nlearning_rate = 1e-5\nbetas = [0, 1]\n[[families]]\n[[families]]\nlearning_rate = 1\n"
        "[sampler]\nkind = 'endpoint'\nurl = 'http://h/v1#m'\n"
    )
    got = load_recipe(path, Recipe)
    assert got.teaching.optimizer.learning_rate == 1e-5
    assert isinstance(got.teaching.optimizer.learning_rate, float)
    assert got.teaching.mode is Mode.CONTINUE
    assert got.teaching.optimizer.betas == (0.0, 1.0)
    assert got.data == Path("x/y.jsonl")
    assert [f.learning_rate for f in got.families] == [1e-3, 1.0]
    assert got.sampler == Endpoint(kind="endpoint", url="http://h/v1#m")


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        ("teaching.optimizer.learning_rate=1e-5", ("teaching", "optimizer", "learning_rate", 1e-5)),
        ("teaching.rounds = 7", ("teaching", "rounds", 7)),
        ("teaching.mode=continue", ("teaching", "mode", Mode.CONTINUE)),
        ('model="quoted"', ("model", "quoted")),
        ("model=http://h/v1#m", ("model", "http://h/v1#m")),
        ("model=a=b", ("model", "a=b")),
        ("model=1, 2", ("model", "1, 2")),
        ("tag=2024", ("tag", "2024")),
        ("tag=2024-01-01", ("tag", "2024-01-01")),
        ("tag=true", ("tag", "true")),
        ("tag=", ("tag", "")),
        ("tag=1]\nx = [2", ("tag", "1]\nx = [2")),
        ("teaching.optimizer.betas=[0.5, 0.6]", ("teaching", "optimizer", "betas", (0.5, 0.6))),
        ("extra.new=2", ("extra", {"new": 2.0})),
    ],
)
def test_overrides(write, override: str, expected: tuple):
    got: Any = load_recipe(write("model = 'm'\n[teaching]\nrounds = 2\n"), Recipe, [override])
    for step in expected[:-1]:
        got = getattr(got, step)
    assert got == expected[-1]


def test_later_overrides_win(write):
    got = load_recipe(write("model = 'm'"), Recipe, ["teaching.rounds=4", "teaching.rounds=5"])
    assert got.teaching.rounds == 5


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "modle = 'm'",
            ["unknown key 'modle' in the top level", "did you mean 'model'?", "allowed: data, extra, families"],
        ),
        ("[teaching]\nruonds = 1", ["unknown key 'ruonds' in section [teaching]", "did you mean 'rounds'?"]),
        ("[teaching.optimizer]\nlr = 1", ["in section [teaching.optimizer]", "allowed: betas, learning_rate"]),
        ("[[families]]\nlearning_rat = 1", ["section [families.0]", "did you mean 'learning_rate'?"]),
        ("[sampler]\nkind = 'local'\nslot = 1", ["unknown key 'slot'", "did you mean 'slots'?"]),
        ("[teaching]\nlearning_rate = 1", ["did you mean 'teaching.optimizer.learning_rate'?"]),
        ("[teaching]\nmodel = 'x'", ["did you mean 'model'?"]),
        ("[teaching]\nrounds = '3'", ["teaching.rounds: got '3' (str); allowed: a valid integer"]),
        ("[teaching]\nrounds = 3.5", ["teaching.rounds: got 3.5 (float)", "integer"]),
        ("[teaching]\nrounds = true", ["teaching.rounds: got True (bool)"]),
        ("[teaching]\nrounds = 0", ["teaching.rounds: got 0 (int); allowed: rounds must be at least 1"]),
        ("[teaching]\nmode = 'stop'", ["teaching.mode: got 'stop'", "'restart' or 'continue'"]),
        (
            "[teaching.optimizer]\nlearning_rate = '1e-5'",
            ["teaching.optimizer.learning_rate: got '1e-5' (str)", "number"],
        ),
        ("teaching = 3", ["teaching: got 3 (int)"]),
        ("tag = 3", ["tag: got 3 (int)", "string"]),
        ("tag = 'x'", ["model: this key is needed and is missing"]),
        ("model = 'm'\ntag = 'impossible'", ["recipe: tag and model do not go together"]),
    ],
)
def test_what_is_wrong_is_named_with_its_place_and_what_is_allowed(write, text: str, words: list[str]):
    message = refused(write(text))
    assert "r.toml cannot be used" in message
    for word in words:
        assert word in message


def test_all_problems_are_told_at_once(write):
    assert len(refused(write("modle = 'm'\n[teaching]\nrounds = 'x'\nruonds = 1")).splitlines()) == 5


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("rounds", "'rounds' is not of the form section.key=value"),
        ("=3", "not of the form"),
        ("teaching..rounds=3", "not of the form"),
        ("model.name=3", "model is 'm', not a section"),
        (
            "teaching.ruonds=3",
            "did you mean 'rounds'? allowed: limit, mode, optimizer, rounds (set by --set teaching.ruonds=3)",
        ),
        ("teaching.rounds=many", "got 'many' (str); allowed: a valid integer"),
    ],
)
def test_a_bad_override_is_named(write, override: str, words: str):
    message = refused(write("model = 'm'"), override)
    assert words in message
    assert override in message


def test_a_missing_file_names_the_built_in_recipes(tmp_path: Path, monkeypatch):
    (tmp_path / "quickstart.toml").write_text("model = 'menon:base'")
    monkeypatch.setattr(recipe_module, "builtin_recipes", lambda: {"quickstart": tmp_path / "quickstart.toml"})
    message = refused("quickstrat")
    assert "no recipe 'quickstrat'" in message
    assert "(quickstart). Did you mean 'quickstart'?" in message
    assert load_recipe("quickstart", Recipe).model == "menon:base"
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "recipe.toml").touch()
    assert "is a run directory: did you mean" in refused(str(tmp_path / "run"))


def test_text_that_is_not_toml_is_refused_with_its_line(write, tmp_path: Path):
    assert "r.toml is not valid TOML" in refused(write("model = 'm'\nrounds = = 3"))
    assert "line 2" in refused(write("model = 'm'\nrounds = = 3"))
    (tmp_path / "latin.toml").write_bytes("model = 'größe'".encode("latin-1"))
    assert "not UTF-8 text (byte 11)" in refused(str(tmp_path / "latin.toml"))


def test_built_in_recipes_are_listed_by_name():
    assert all("." not in name for name in recipe_module.builtin_recipes())


def test_the_hash_is_that_of_the_resolved_recipe(write):
    short, long = load_recipe(write("model = 'm'"), Recipe), load_recipe(write("tag = ''\nmodel = 'm'"), Recipe)
    assert recipe_hash(short) == recipe_hash(long) == toml_hash("# note\n" + dump_toml(short))
    assert recipe_hash(short) != recipe_hash(load_recipe(write("model = 'm'"), Recipe, ["teaching.rounds=4"]))


def test_none_that_is_not_the_default_cannot_be_written():
    class Odd(Section):
        limit: int | None = 5

    with pytest.raises(ConfigError, match="limit would change, since TOML has no null"):
        dump_toml(Odd(limit=None))
    with pytest.raises(ConfigError, match="limits is None"):
        write_toml({"limits": None})
    with pytest.raises(ConfigError, match="not valid Unicode"):
        write_toml({"text": "\ud800"})


def test_infinity_is_a_float(write):
    got = load_recipe(write("model = 'm'\n[extra]\na = inf\nb = nan\n"), Recipe)
    assert got.extra["a"] == math.inf
    assert math.isnan(got.extra["b"])
    assert "a = inf" in dump_toml(got)


def test_differences_name_leaves():
    assert differences({"a": {"b": 1, "c": {}}}, {"a": {"b": 1.0, "c": {}}, "d": [1]}) == [
        "a.b: 1 before, 1.0 now",
        "d: absent before, [1] now",
    ]


text = st.text(st.characters(codec="utf-8"), max_size=8)
floats = st.floats(allow_nan=False)
optimizers = st.builds(Optimizer, learning_rate=floats, betas=st.tuples(floats, floats))


@given(
    st.builds(
        Recipe,
        model=text,
        tag=text.filter(lambda t: t != "impossible"),
        data=st.just(Path("a b/ü.jsonl")),
        teaching=st.builds(
            Teaching,
            rounds=st.integers(1, 10**12),
            mode=st.sampled_from(Mode),
            optimizer=optimizers,
            limit=st.none() | st.integers(),
        ),
        families=st.lists(optimizers, max_size=3).map(tuple),
        sampler=st.builds(Local) | st.builds(Endpoint, url=text),
        extra=st.dictionaries(text, floats, max_size=3),
    )
)
def test_every_recipe_loads_back_equal(tmp_path_factory, recipe: Recipe):
    path = tmp_path_factory.getbasetemp() / "round.toml"
    path.write_text(dump_toml(recipe), encoding="utf-8")
    assert load_recipe(str(path), Recipe) == recipe


scalars = st.booleans() | st.integers() | floats | text
values = st.recursive(scalars, lambda v: st.lists(v, max_size=3) | st.dictionaries(text, v, max_size=3), max_leaves=12)


@given(st.dictionaries(text, values, max_size=4))
def test_every_table_is_read_back_equal(table: dict[str, Any]):
    assert repr(_sorted(tomllib.loads(write_toml(table)))) == repr(_sorted(table))


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value
