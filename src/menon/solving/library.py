"""The strategies that ship, each a Markdown file in `strategies/`, and the charts of users."""

from importlib.resources import files
from pathlib import Path

from menon.flowcharts.chart import Chart, ChartError, Finding
from menon.flowcharts.check import check, require
from menon.flowcharts.document import Library
from menon.solving.functions import Workbench

# In the order in which they should be read; test_strategies sees to it that none is missing.
SHIPPED = (
    "direct",
    "cot",
    "few_shot",
    "auto_cot",
    "self_consistency",
    "diverse",
    "best_of_n",
    "least_to_most",
    "self_ask",
    "program_of_thought",
    "plan_and_solve",
    "react",
    "reflection",
    "tree_of_thoughts",
    "tree_of_thoughts_depth",
    "graph_of_thoughts",
    "compiler",
    "debate",
    "mcts",
    "a_star",
    "deep_research",
    "from_chain",
    "written",
    "written_for_class",
)
ALIASES = {
    "zero_shot": "direct",
    "zero_shot_cot": "cot",
    "chain_of_thought": "cot",
    "few_shot_cot": "few_shot",
    "l2m": "least_to_most",
    "pal": "program_of_thought",
    "pot": "program_of_thought",
    "reflexion": "reflection",
    "tot": "tree_of_thoughts",
    "got": "graph_of_thoughts",
    "llm_compiler": "compiler",
    "plan_execute": "deep_research",
}


def folder() -> Path:
    """Return the folder of the strategies that ship."""
    return Path(str(files("menon.solving") / "strategies"))


def library(workbench: Workbench | None = None) -> Library:
    """Return the library of strategies; its functions work with `workbench`."""
    return Library([folder()], functions=(workbench or Workbench()).functions())


def proper(name: str) -> str:
    """Return the name under which a strategy is filed: aliases and hyphens resolved, paths as they are."""
    if name.endswith(".md") or "/" in name:
        return name
    plain = name.replace("-", "_")
    return ALIASES.get(plain, plain)


def load_strategy(name: str, workbench: Workbench | None = None) -> Chart:
    """Return a checked strategy by name or path; `-` and `_` are the same.

    Raises:
        ConfigError: there is none, or it has errors (`ChartError`, with every finding).
    """
    return require(library(workbench).load(proper(name)))


def shipped() -> list[Chart]:
    """Return the charts of the strategies that ship, in reading order."""
    known = library()
    return [known.load(name) for name in SHIPPED]


def catalogue() -> list[dict[str, str]]:
    """Return name, title, source and usual number of calls of every strategy that ships, in reading order."""
    return [
        {"name": chart.name, "title": chart.title, "source": chart.source, "calls": chart.cost, "file": chart.file}
        for chart in shipped()
    ]


def findings_of(name: str) -> list[Finding]:
    """Return everything that is wrong with a chart, by name or path; also what keeps it from being read.

    Raises:
        ConfigError: there is no such file, or it is no text.
    """
    try:
        return check(library().load(proper(name)))
    except ChartError as error:
        return list(error.findings)
