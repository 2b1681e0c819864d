"""Recipe of `menon trace`: a model, the documents it learnt from, and the answers to explain."""

from typing import Literal

from pydantic import Field

from menon.core.recipe import Section
from menon.tracing.config import TraceConfig


class TraceCorpus(Section):
    """Section `[corpus]`: where the documents are and how they become token sequences."""

    data: tuple[str, ...] = Field(
        default=(),
        description="files, folders of shards, or a data set id; empty takes the run's or the model's own text",
    )
    map: dict[str, str] = Field(default_factory=dict, description="names of the data's columns, as text = content")
    split: str = Field(default="", description="the split of the data")
    limit: int = Field(default=0, ge=0, description="documents to read; 0 reads all")
    documents: int = Field(default=2000, ge=1, description="documents of the embedded model's own text")
    trained_on: int = Field(
        default=0,
        ge=0,
        description="documents that the model was trained on, where the corpus is a sample; 0: all here",
    )
    round: int = Field(default=0, ge=0, description="the round of a STaR run whose rows are traced; 0 takes the last")
    arm: str = Field(default="", description="the arm and seed of a comparison, as star-seed0; empty takes the first")
    long: Literal["split", "truncate", "skip"] = Field(
        default="split", description="what becomes of documents longer than the context"
    )
    overlap: int = Field(default=1, ge=1, description="tokens that the windows of a long document share")
    append_eos: bool = Field(default=True, description="close every document with the end token")


class TraceQueries(Section):
    """Section `[queries]`: the answers to explain."""

    query: tuple[str, ...] = Field(
        default=(), description="texts `PROMPT => COMPLETION`, prompts alone, items as chain:test:3, completion ids"
    )
    file: str = Field(default="", description="a file of queries")
    run: str = Field(default="", description="a run directory whose completions are meant by ids")
    limit: int = Field(default=0, ge=0, description="queries to take of the file; 0 takes all")
    style: str = Field(default="", description="how questions are put; empty goes by the model and the data")
    max_tokens: int = Field(
        default=96, ge=1, description="tokens that the model may write where no completion is given"
    )


class TraceShown(Section):
    """Section `[shown]`: what the report shows of every query."""

    top: int = Field(default=20, ge=1, description="most raising documents")
    bottom: int = Field(default=10, ge=0, description="most lowering documents")
    highlighted: int = Field(default=8, ge=0, description="documents of each end with scores per token")
    baseline: int = Field(default=10, ge=1, description="documents of each baseline")


class TraceRecipe(Section):
    """Rank the training documents of a model by their influence on its answers."""

    study: Literal["trace"] = "trace"
    model: str = "menon:base"
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    factors: str = Field(default="", description="factors that an earlier run fitted, factors.safetensors")
    checkpoints: tuple[str, ...] = Field(default=(), description="models on the way, for TracIn")
    rates: tuple[float, ...] = Field(default=(), description="their learning rates; without them 1 each")
    prefilter: int = Field(default=0, ge=0, description="score only so many documents per query, by BM25; 0 scores all")
    sample: int = Field(default=500, ge=0, description="random documents scored besides, to measure what that loses")
    seed: int = 0
    corpus: TraceCorpus = TraceCorpus()
    queries: TraceQueries = TraceQueries()
    shown: TraceShown = TraceShown()
    tracing: TraceConfig = TraceConfig()
