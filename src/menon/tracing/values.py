"""What tracing works on: documents, the token sequences they are cut into, and queries.

Source: Ruis et al. 2024, arXiv:2411.12580, section 3: a query is a prompt with its completion, a document a sequence of
the training text.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from menon.core.seeds import content_id


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedDocument:
    """One training document: its text, where it stands (`file.jsonl:17`), and what is known of it.

    `prompt` is the part of the text that was context only (it may be empty); `text` begins with it. `labels` are the
    fields that came with the document: source, kind, form, family, teaches, ... as texts.
    """

    id: str
    text: str
    prompt: str = ""
    origin: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSequence:
    """Token ids as the model was trained on them; `document` is the position of its document in the corpus.

    Token t >= 1 counts in the loss with weight 1, the first `prompt` tokens with `prompt_weight`. A document longer
    than the context is several sequences, each with its `start` (in tokens of the document); their scores add up.
    """

    document: int
    ids: tuple[int, ...]
    prompt: int = 0
    prompt_weight: float = 1.0
    start: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A prompt and the completion whose log-likelihood is explained; `answer` is what a document may contain."""

    prompt: str
    completion: str
    answer: str = ""
    task: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    prompt_ids: tuple[int, ...] | None = None
    completion_ids: tuple[int, ...] | None = None
    name: str = ""

    @property
    def id(self) -> str:
        return self.name or content_id("query", self.prompt, self.completion)
