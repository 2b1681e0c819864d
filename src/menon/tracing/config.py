"""Section `[tracing]` of a recipe: what of a model is traced, and how influence is approximated."""

from typing import Literal

from pydantic import Field

from menon.core.recipe import Section

METHODS = ("ekfac", "dot", "cosine", "tracin", "bm25", "tfidf", "random")
Method = Literal["ekfac", "dot", "cosine", "tracin", "bm25", "tfidf", "random"]


class TraceConfig(Section):
    """How influence is computed; the defaults are those of Grosse et al. 2023 and Ruis et al. 2024."""

    layers: str = Field(
        default="mlp", description="what is traced: `mlp`, `all` (all linear layers but the head), or names with `*`"
    )
    skip: tuple[str, ...] = Field(
        default=(), description="layers to leave out, names with `*`; `unsupported` leaves out what cannot be handled"
    )
    damping: float | None = Field(
        default=None, gt=0, description="added to every eigenvalue; without it 0.1 x their mean in each layer"
    )
    rank: int = Field(
        default=32, ge=0, description="rank of query gradients where that is cheaper than whole; 0: always whole"
    )
    factor_documents: int = Field(
        default=0, ge=0, description="documents that the curvature is measured on; 0 takes all"
    )
    tokens_per_batch: int = Field(default=4096, ge=2, description="padded tokens of a forward pass")
    shard: int = Field(default=2000, ge=1, description="documents of a unit of work")
    prompt_weight: float | None = Field(
        default=None, ge=0, le=1, description="weight of documents' prompts in their loss; without it as in training"
    )
    seed: int = 0
