"""What `menon trace` is asked about: the model, the documents it learnt from, and the queries."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from menon.core.errors import ConfigError, DataError
from menon.core.progress import Progress
from menon.core.seeds import seed_for
from menon.core.values import Completion, Problem, Request
from menon.grading import grade
from menon.models.load import EMBEDDED, Loaded, load_model
from menon.problems.base_text import PROMPT_WEIGHT, base_text
from menon.problems.prompts import STYLES, PromptStyle
from menon.sampling.local import LocalSampler
from menon.store.layout import RECORDS
from menon.studies.audit.models import same_tokenizer
from menon.studies.trace.recipe import TraceRecipe
from menon.studies.trace.run_queries import run_checkpoint, run_query, star_rows_corpus
from menon.tracing.corpora import FileCorpus, StreamCorpus, from_base
from menon.tracing.corpus_base import TokenisedCorpus
from menon.tracing.query_files import (
    COMPLETION_ID,
    query_of_problem,
    read_queries,
    read_query,
    to_sample,
    with_completion,
)
from menon.tracing.tokenise import Tokeniser, check_tokenizer
from menon.tracing.values import Query

EXAMPLES = (("chain", 2), ("addition", 2), ("facts", 1))  # families and difficulties asked where nothing is


def is_run(text: str) -> bool:
    """Say whether `text` is a run directory."""
    return (Path(text).expanduser() / RECORDS).is_file()


@dataclass(slots=True, kw_only=True)
class Sources:
    """The model, corpus and queries of a recipe, opened when they are needed."""

    recipe: TraceRecipe
    progress: Progress
    index_folder: Path | None = None
    _loaded: Loaded | None = None
    _corpus: TokenisedCorpus | None = None

    @property
    def traced_run(self) -> Path | None:
        """The run whose model is traced, if it is one."""
        return Path(self.recipe.model).expanduser() if is_run(self.recipe.model) else None

    def spec(self) -> str:
        """Return what the model is loaded from.

        Raises:
            ConfigError: a run of a study that taught no model, and asked one that has no weights here.
        """
        run = self.traced_run
        if run is None:
            return self.recipe.model
        if self._teaches(run):
            return str(run_checkpoint(run, self.recipe.corpus.round or None, arm=self._arm(run)))
        asked = self._run_recipe(run).get("model")
        if not isinstance(asked, str):
            raise ConfigError(f"the run {str(run)!r} names no model; give the model itself and --run {run}")
        return asked

    def loaded(self) -> Loaded:
        if self._loaded is None:
            self._loaded = load_model(self.spec(), device=self.recipe.device, dtype=self.recipe.dtype)
            for sentence in check_tokenizer(self._loaded.tokenizer, self._vocabulary(), self._loaded.context):
                self.progress.say(sentence)
        return self._loaded

    def corpus(self) -> TokenisedCorpus:
        """Open the documents.

        Raises:
            ConfigError: no corpus was named and none is known for this model.
        """
        if self._corpus is None:
            self._corpus = self._opened()
            self._corpus.progress = self.progress
        return self._corpus

    def _opened(self) -> TokenisedCorpus:
        recipe, settings = self.recipe, self.recipe.corpus
        if settings.data:
            return FileCorpus(
                settings.data,
                self._tokeniser(1.0),
                map=settings.map,
                split=settings.split or None,
                limit=settings.limit,
                folder=self.index_folder,
                progress=self.progress,
            )
        run = self.traced_run
        if run is not None and self._teaches(run):
            return star_rows_corpus(
                run, self.loaded().tokenizer, settings.round or None, arm=self._arm(run), context=self.loaded().context
            )
        if self.spec() != EMBEDDED:
            raise ConfigError(
                f"which documents was {recipe.model!r} trained on? Name them with --data FILE (JSONL, Parquet, text, a "
                "folder of shards, or a data set id); only the embedded model and runs of `menon teach` bring their own"
            )
        text = base_text()
        places = text.spread(settings.documents)
        return StreamCorpus(
            lambda index: from_base(text.document(places[index]), places[index]),
            len(places),
            self._tokeniser(PROMPT_WEIGHT),
            name=f"{len(places):,} of the {text.count:,} documents of menon:base",
        )

    def trained_on(self) -> int:
        """Return how many documents the model was trained on: as told, of the embedded model's text, or the corpus."""
        told = self.recipe.corpus.trained_on
        if told:
            return told
        own = not self.recipe.corpus.data and self.spec() == EMBEDDED
        return base_text().count if own else len(self.corpus())

    def query_tokeniser(self) -> Tokeniser:
        """Return what cuts queries into tokens."""
        return self._tokeniser(0.0)

    def _tokeniser(self, prompt_weight: float) -> Tokeniser:
        settings, given = self.recipe.corpus, self.recipe.tracing.prompt_weight
        return Tokeniser(
            self.loaded().tokenizer,
            context=self.loaded().context,
            vocabulary=self._vocabulary(),
            append_eos=settings.append_eos,
            long=settings.long,
            overlap=settings.overlap,
            prompt_weight=prompt_weight if given is None else given,
        )

    def _vocabulary(self) -> int:
        return int(self.loaded().model.get_input_embeddings().weight.shape[0])

    # --- queries ---

    def queries(self) -> list[Query]:
        """Return the queries, with completions that the model wrote where none was given."""
        found = self._asked()
        if not found:
            raise ConfigError(
                "which answer is to be explained? Give --query 'PROMPT => COMPLETION', a prompt alone, a completion "
                "id of a run, an item as chain:test:3, or a file with --queries FILE"
            )
        by_id = {query.id: query for query in found}
        return [self._with_answer(query) for query in self._written(list(by_id.values()))]

    def _asked(self) -> list[Query]:
        settings, tokenizer = self.recipe.queries, self.loaded().tokenizer
        found = [self._one(text) for text in settings.query]
        if settings.file:
            found += read_queries(settings.file, self.style, tokenizer=tokenizer, limit=settings.limit)
        if not found and self._own_vocabulary:
            from menon.problems import FAMILIES

            for name, difficulty in EXAMPLES:
                split = "original" if name == "facts" else "test"
                problem = FAMILIES.get(name).problem(split, 0, difficulty=difficulty)
                asked = query_of_problem(problem, self.style)
                found.append(replace(asked, completion="", labels={**asked.labels, "to_sample": "yes"}))
        return found

    def _one(self, text: str) -> Query:
        run = Path(self.recipe.queries.run) if self.recipe.queries.run else self.traced_run
        if run is not None and COMPLETION_ID.fullmatch(text.strip()):
            return run_query(run, text.strip(), self.loaded().tokenizer)
        return read_query(text, self.style)

    def _written(self, queries: Sequence[Query]) -> list[Query]:
        """Let the model write what has no completion, greedily."""
        wanted = [query for query in queries if to_sample(query)]
        if not wanted:
            return list(queries)
        loaded, settings = self.loaded(), self.recipe.queries
        sampler = LocalSampler(loaded.model, loaded.tokenizer, name=self.recipe.model, slots=min(64, len(wanted)))
        requests = [
            Request(
                key=query.id,
                prompt=query.prompt_ids or query.prompt,
                seed=seed_for("trace", query.id),
                max_tokens=settings.max_tokens,
                temperature=0.0,
                stop=self.style.stop,
            )
            for query in wanted
        ]
        self.progress.start("answers of the model", total=len(wanted), unit="answers")
        written = {completion.key: completion for completion in sampler.sample(requests, progress=self.progress)}
        return [self._completed(query, written[query.id]) if query.id in written else query for query in queries]

    def _completed(self, query: Query, completion: Completion) -> Query:
        if completion.error or not completion.token_ids:
            raise DataError(f"the model wrote nothing for query {query.id}: {completion.error or 'no token'}")
        # The name is that of the question, so that it does not change with what was written.
        return replace(with_completion(query, completion.text, completion.token_ids), name=query.id)

    def _with_answer(self, query: Query) -> Query:
        """Read the answer out of the completion, as grading would."""
        if query.answer:
            return query
        grader = "exact" if self._own_vocabulary else "number"
        asked = Problem(family="", question=query.prompt, answer="0", grader=grader)
        found = grade(asked, Completion(key=query.id, text=query.completion)).answer
        return replace(query, answer=found or "")

    @property
    def style(self) -> PromptStyle:
        name = self.recipe.queries.style or ("menon" if self._own_vocabulary else "plain")
        return STYLES.get(name)

    @property
    def _own_vocabulary(self) -> bool:
        spec = self.spec()
        return spec == EMBEDDED or same_tokenizer(spec, True)

    # --- runs ---

    def _run_recipe(self, run: Path) -> dict[str, Any]:
        return tomllib.loads((run / "recipe.toml").read_text(encoding="utf-8"))

    def _teaches(self, run: Path) -> bool:
        return self._run_recipe(run).get("study") in ("bootstrap", "comparison")

    def _arm(self, run: Path) -> str:
        recipe = self._run_recipe(run)
        if recipe.get("study") != "comparison":
            return "star"
        return self.recipe.corpus.arm or f"{recipe['arms'][0]['name']}-seed{recipe['seeds'][0]}"
