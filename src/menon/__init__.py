"""Menon: does a language model reason, or does it recite, and how do we make it reason?

Nothing here imports torch; it is loaded by the layers that compute, when they compute.
"""

from menon.core.errors import ConfigError, DataError, Diverged, MenonError, Refused, RunError, SamplerError
from menon.core.seeds import content_id, rng_for, seed_for
from menon.core.values import Completion, Grade, Message, Problem, Request, Verdict

__version__ = "0.5.0"

__all__ = [
    "Completion",
    "ConfigError",
    "DataError",
    "Diverged",
    "Grade",
    "MenonError",
    "Message",
    "Problem",
    "Refused",
    "Request",
    "RunError",
    "SamplerError",
    "Verdict",
    "content_id",
    "rng_for",
    "seed_for",
]
