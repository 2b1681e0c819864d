"""The calibration panel: the audit of models whose nature is known."""

from typing import Any

__all__ = ["run_calibration"]


def run_calibration(*args: Any, **options: Any) -> dict[str, Any]:
    """Run the panel; see `menon.studies.calibration.run`, which is loaded only here because it loads torch."""
    from menon.studies.calibration.run import run_calibration as run

    return run(*args, **options)
