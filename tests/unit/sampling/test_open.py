"""Names of samplers: which backend each opens, and what a wrong one is told."""

import subprocess
import sys
from pathlib import Path

import pytest

from menon.core.errors import ConfigError
from menon.core.values import Completion, Request
from menon.sampling import open_sampler, sample_in_order
from menon.sampling.endpoint import EndpointSampler
from menon.sampling.open import _scheme


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("", "no sampler named"),
        ("   ", "no sampler named"),
        ("scripted:", "names nothing after the colon"),
        ("scriptd:oracle", "Did you mean 'scripted:oracle'"),
        ("htp://localhost/v1#m", "Did you mean 'http://localhost/v1#m'"),
        ("oracle", "Did you mean 'scripted:oracle'"),
        ("./no/such/folder", "no folder './no/such/folder'"),
        ("/no/such/folder", "no folder"),
        ("two words", "no folder 'two words'"),
        ("http://localhost:8000/v1", "no model named for the endpoint"),
        ("http://#m", "not the address of an endpoint"),
        ("http://host:99999/v1#m", "not the address of an endpoint"),
        ("http://host/v1?apu=chat#m", "unknown option 'apu' .did you mean 'api'"),
        ("http://host/v1?api=tools#m", "option 'api' is 'tools'"),
        ("http://host/v1?concurrency=0#m", "greater than or equal to 1"),
        ("http://host/v1?timeout_s=soon#m", "option 'timeout_s' is 'soon'"),
    ],
)
def test_bad_names_say_what_is_allowed(spec: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        open_sampler(spec)
    assert "llowed" in str(caught.value)


def test_a_file_is_pointed_to_the_recorded_form(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text("{}")
    with pytest.raises(ConfigError, match="recorded:"):
        open_sampler(str(path))


@pytest.mark.parametrize("spec", ["gpt2", "org/name", "org/name-1.5B_x", "org/name@main"])
def test_hub_ids_and_folders_are_local(spec: str, tmp_path: Path) -> None:
    assert _scheme(spec) == ""
    assert _scheme(str(tmp_path)) == ""
    assert _scheme("menon:base") == "menon"


def test_options_of_an_endpoint_from_both_sides_of_the_model_and_from_keywords() -> None:
    sampler = open_sampler("https://host/v1/?api=completions&concurrency=4#org/model:tag?timeout_s=5", concurrency=2)
    assert isinstance(sampler, EndpointSampler)
    assert (sampler.base_url, sampler.model) == ("https://host/v1", "org/model:tag")
    assert (sampler.options.api, sampler.options.concurrency, sampler.options.timeout_s) == ("completions", 2, 5.0)
    assert sampler.name == "https://host/v1?api=completions#org/model:tag"


def test_options_of_another_kind_are_refused() -> None:
    with pytest.raises(ConfigError, match="unknown option 'slots'"):
        open_sampler("scripted:oracle", slots=4)
    with pytest.raises(ConfigError, match="unknown option 'concurrency'"):
        open_sampler("org/name", concurrency=4)


def test_sample_in_order_sorts_by_request_and_sample() -> None:
    class Backwards:
        name = "backwards"

        def sample(self, requests, *, progress=None):
            for request in reversed(list(requests)):
                yield from (Completion(key=request.key, sample=sample) for sample in reversed(range(request.n)))

        def score(self, prompt: str, continuation: str) -> list[float]:
            return []

    requests = [Request(key=key, prompt="p", seed=0, n=2) for key in ("z", "a")]
    found = [(c.key, c.sample) for c in sample_in_order(Backwards(), requests)]  # type: ignore[arg-type]
    assert found == [("z", 0), ("z", 1), ("a", 0), ("a", 1)]
    with pytest.raises(ConfigError, match="two requests have the key 'z'"):
        sample_in_order(Backwards(), [*requests, requests[0]])  # type: ignore[arg-type]


def test_neither_torch_nor_a_client_is_loaded_before_it_is_needed() -> None:
    code = (
        "import sys; from menon.sampling import open_sampler; open_sampler('scripted:oracle');"
        "sys.exit(' '.join(m for m in ('torch', 'transformers', 'numpy', 'openai', 'asyncio') if m in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stderr.strip() in ("", "asyncio"), done.stderr
