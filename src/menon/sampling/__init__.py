"""Samplers: a local model, an endpoint, recorded responses and scripted stand-ins behind one protocol.

Importing this package loads neither torch nor an HTTP client; `open_sampler` imports the backend that a name asks for.
"""

from menon.sampling.open import open_sampler
from menon.sampling.protocol import Sampler, bind_problems, failed, sample_in_order
from menon.sampling.recording import Recorder, record

__all__ = ["Recorder", "Sampler", "bind_problems", "failed", "open_sampler", "record", "sample_in_order"]
