"""Open a sampler by its name.

menon:base                       the model inside this package
FOLDER or HUB-ID                 any Hugging Face causal language model
http://host:8000/v1#MODEL        an OpenAI-compatible server; options such as ?api=completions before the #
endpoint:MODEL                   the same, the server's address taken from OPENAI_BASE_URL
recorded:FILE                    responses on file (JSONL, optionally gzipped)
scripted:oracle?p=0.9            a stand-in whose nature is known
"""

import difflib
import re
from pathlib import Path
from typing import Any

from menon.core.errors import ConfigError
from menon.sampling.protocol import Sampler

FORMS = (
    "menon:base, a model folder, a Hugging Face id such as org/name, http://host/v1#model, endpoint:MODEL, "
    "recorded:FILE, scripted:NAME?option=value"
)
SCHEMES = ("menon", "http", "https", "endpoint", "recorded", "scripted")
STAND_INS = ("oracle", "reciter", "guesser", "mixture")
_MADE_BY = "`menon teach quiet-star` makes a model that thinks"
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?(@[\w./-]+)?")


def open_sampler(spec: str, **options: Any) -> Sampler:
    """Open the sampler that `spec` names; keyword options win over those in the name.

    Nothing is sampled and no server is spoken to yet; a local model is loaded. With `think` (a `ThinkingBudget`, the
    name of where to think, or True) it thinks before the tokens of its answers.

    Raises:
        ConfigError: the name has no known form, an option is unknown to the kind of sampler it names, or a model is to
            think that cannot.
    """
    scheme = _scheme(spec)
    if options.get("think") in (None, False):
        options.pop("think", None)
    elif scheme not in ("", "menon"):
        raise ConfigError(f"{spec!r} has no weights here, so it cannot think; give a folder. {_MADE_BY}")
    if scheme in ("http", "https", "endpoint"):
        from menon.sampling.endpoint import EndpointSampler

        return EndpointSampler.from_spec(spec, **options)
    if scheme == "recorded":
        from menon.sampling.recorded import RecordedSampler

        return RecordedSampler.from_spec(spec, **options)
    if scheme == "scripted":
        from menon.sampling.scripted import open_scripted

        return open_scripted(spec, **options)
    return _open_local(spec, options)


def _open_local(spec: str, options: dict[str, Any]) -> Sampler:
    from menon.sampling.spec import LocalOptions, read_options

    chosen = read_options(LocalOptions, spec, {}, options)  # before torch is loaded: a slip is told at once
    if chosen.think is not None and chosen.think.where != "never":
        return _open_thinking(spec, chosen)
    from menon.models.load import load_model
    from menon.sampling.local import LocalSampler

    loaded = load_model(spec, device=chosen.device, dtype=chosen.dtype)
    return LocalSampler(
        loaded.model, loaded.tokenizer, name=loaded.spec, slots=chosen.slots, max_length=chosen.max_length
    )


def _open_thinking(spec: str, chosen: Any) -> Sampler:
    from menon.models.load import source
    from menon.models.thoughts.saving import has_thoughts, load_quiet
    from menon.sampling.thinking import ThinkingSampler

    if not has_thoughts(spec):
        source(spec)  # a folder that is no model at all is told as such
        raise ConfigError(f"{spec!r} has no thoughts, so it cannot think; leave --think out. {_MADE_BY}")
    found = load_quiet(spec, device=chosen.device, dtype=chosen.dtype)
    return ThinkingSampler(
        found.quiet,
        found.tokenizer,
        chosen.think,
        name=f"{spec} (thinking)",
        slots=chosen.slots,
        max_length=chosen.max_length,
    )


def _scheme(spec: str) -> str:
    """Return the scheme of `spec`, empty for a folder or a hub id."""
    scheme, colon, rest = spec.partition(":")
    if colon and scheme in SCHEMES:
        if rest:
            return scheme
        raise ConfigError(f"sampler {spec!r} names nothing after the colon. Allowed: {FORMS}")
    if not spec.strip():
        raise ConfigError(f"no sampler named (got {spec!r}). Allowed: {FORMS}")
    if Path(spec).expanduser().is_dir():
        return ""
    if Path(spec).is_file():
        raise ConfigError(f"sampler {spec!r} is a file. Responses on file are named recorded:{spec}; allowed: {FORMS}")
    if colon:
        raise ConfigError(f"unknown kind of sampler {scheme!r}.{_nearest(scheme, rest)} Allowed: {FORMS}")
    if spec in STAND_INS:
        raise ConfigError(f"no folder or hub id {spec!r}. Did you mean 'scripted:{spec}'? Allowed: {FORMS}")
    if not HUB_ID.fullmatch(spec):
        raise ConfigError(f"no folder {spec!r}, and it is not a Hugging Face id either. Allowed: {FORMS}")
    return ""


def _nearest(scheme: str, rest: str) -> str:
    near = difflib.get_close_matches(scheme, SCHEMES, n=1)
    return f" Did you mean '{near[0]}:{rest}'?" if near else ""
