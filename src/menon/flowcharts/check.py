"""The check of a chart before a token is spent: everything that its text alone can show to be wrong.

What one place shows (shapes, settings, syntax) `document` has refused already; here is what takes the whole chart: ways
through it, branches, variables, types, loops, forks, recursion. Each finding names file, line, rule and what to type.
"""

from collections.abc import Iterator

from menon.flowcharts.chart import Chart, ChartError, Finding
from menon.flowcharts.check_flow import Written
from menon.flowcharts.check_forks import check_forks, check_races
from menon.flowcharts.check_loops import always_round, check_loops
from menon.flowcharts.check_recursion import check_recursion, reached
from menon.flowcharts.check_shape import check_branches, check_ends, check_reach
from menon.flowcharts.check_types import Types, check_types
from menon.flowcharts.check_values import Unset
from menon.flowcharts.graph import analyse, targets_of

ERROR, NOTE = "error", "note"


def check(chart: Chart) -> list[Finding]:
    """Return what is wrong (`error`) or doubtful (`note`) in a chart and in those it calls, by file and line.

    The chart's own file comes first.
    """
    charts = list(reached(chart).values())
    files = {one.file: place for place, one in reversed(list(enumerate(charts)))}
    found = [finding for one in charts for finding in _alone(one)]
    found.extend(check_recursion(chart))
    return sorted(found, key=lambda finding: (files[finding.file], finding.line))


def require(chart: Chart) -> Chart:
    """Return the chart if the check finds no error in it.

    Raises:
        ChartError: it holds the errors found.
    """
    errors = [finding for finding in check(chart) if finding.level == ERROR]
    if errors:
        raise ChartError(*errors)
    return chart


def _alone(chart: Chart) -> Iterator[Finding]:
    """Check one chart without those it calls; what a broken drawing would only repeat is left unsaid."""
    ends = list(check_ends(chart))
    if ends:
        yield from ends
        yield from check_branches(chart, {})
        return
    yield from check_reach(chart, targets_of(chart))
    try:
        flow = analyse(chart)
    except ChartError as error:
        yield from error.findings
        return
    written = Written(chart, flow)
    types = Types(chart, written)
    yield from check_branches(chart, types.tests())
    yield from check_loops(chart, flow)
    yield from check_forks(chart, flow, written, always_round(flow, chart))
    yield from check_races(chart, written)
    yield from Unset(chart, written).findings()
    yield from check_types(chart, types)
