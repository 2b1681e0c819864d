"""What lies between a fork and its join: its parts run at once, each as soon as all arrows into it are decided.

An arrow is live when it was taken and dead when it cannot be taken any more. A part with a live arrow runs; a part with
dead ones only is passed over, and so are the arrows out of it (dead-path elimination, as in business process engines).
A part is one node, or a loop, which is walked like any other stretch of the chart.
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from menon.flowcharts.execution import Frame, Stop
from menon.flowcharts.program import Arrow, Region, Step

if TYPE_CHECKING:
    from menon.flowcharts.executor import Executor


@dataclass(slots=True, eq=False)
class RegionRun:
    """One passage through a region."""

    executor: "Executor"
    frame: Frame
    region: Region
    awaited: list[int] = field(init=False)
    live: list[bool] = field(init=False)
    running: set["asyncio.Task[None]"] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.awaited, self.live = list(self.region.awaited), [False] * len(self.region.members)

    async def run(self) -> None:
        """Run every part that is reached.

        Raises:
            Stop: a part was stopped; the others have been waited for, so that nothing finished is lost.
        """
        stops: list[BaseException] = []
        for part in self._settled((arrow, True) for arrow in self.region.firsts):
            self._begin(part)
        try:
            while self.running:
                done, _ = await asyncio.wait(self.running, return_when=asyncio.FIRST_COMPLETED)
                self.running.difference_update(done)
                stops += [error for task in done if (error := task.exception()) is not None]
        finally:
            for task in self.running:  # only when this execution was cancelled
                task.cancel()
        if stops:
            raise first(stops)

    def _begin(self, part: int) -> None:
        self.running.add(asyncio.get_running_loop().create_task(self._go_on(part)))

    async def _go_on(self, part: int) -> None:
        """Run a part, then those that it makes ready: one of them in this task, the others in tasks of their own."""
        ready = [part]
        while ready:
            here, *others = ready
            for other in others:
                self._begin(other)
            taken = await self._part(here)
            ready = self._settled((arrow, arrow in taken) for arrow in self._leaving(here))

    def _settled(self, arrows: Iterable[tuple[Arrow, bool]]) -> list[int]:
        """Decide arrows, taken or not, with all that follows from it; return the parts that can start now."""
        ready: list[int] = []
        waiting = list(arrows)
        for arrow, taken in waiting:
            part = self.region.part_of.get(arrow.edge.target)
            if part is None:
                continue
            self.awaited[part] -= 1
            self.live[part] = self.live[part] or taken
            if self.awaited[part]:
                continue
            if self.live[part]:
                ready.append(part)
            else:
                waiting += [(dead, False) for dead in self._leaving(part)]
        return ready

    def _leaving(self, part: int) -> Sequence[Arrow]:
        """Return the arrows that leave a part."""
        members, steps = self.region.members[part], self.frame.program.steps
        return [arrow for key in sorted(members) for arrow in steps[key].arrows if arrow.edge.target not in members]

    async def _part(self, part: int) -> Sequence[Arrow]:
        """Run one part; return the arrows taken out of it."""
        members = self.region.members[part]
        if len(members) == 1:
            (key,) = members
            step = self.frame.program.steps[key]
            if all(arrow.edge.target != key for arrow in step.arrows):
                arrow = await self.executor.visit(self.frame, step)
                return step.plain if arrow is None else (arrow,)
        return await self.executor.walk(self.frame, self._entered(members), members)

    def _entered(self, members: frozenset[str]) -> Step:
        """Enter the loop that a part is; return the node where it begins."""
        steps, key = self.frame.program.steps, min(members)
        for bound in steps[key].bounds:
            if bound.nodes == members:
                self.frame.enter(bound)
                return steps[bound.head]
        return steps[key]


def first(stops: Sequence[BaseException]) -> BaseException:
    """Return what ends a fork with several stopped branches: a defect first, then failures, budgets, persons."""
    for error in stops:
        if not isinstance(error, Stop):
            return error
    known = [error for error in stops if isinstance(error, Stop)]
    for kind in ("error", "exhausted", "waiting"):
        for error in known:
            if getattr(error, kind):
                return error
    return stops[0]
