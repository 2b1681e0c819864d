"""The error tree: everything Menon raises on purpose.

    MenonError
    ├── ConfigError (ValueError)    a recipe, flag, file or value that cannot be used as given
    ├── DataError (ValueError)      a data file or row that cannot be read; names file and line
    ├── SamplerError (RuntimeError) a backend that cannot sample at all (one failed request is data, not an error)
    ├── RunError (RuntimeError)     a run directory that is locked, damaged, read-only or full
    ├── Refused (RuntimeError)      a check says that going on would waste the run; `--force` overrides
    └── Diverged (RuntimeError)     training produced a non-finite loss or gradient

Every message says what was got, what is allowed, and what to do.
"""


class MenonError(Exception):
    """Base of every error that Menon raises on purpose."""

    exit_code = 1


class ConfigError(MenonError, ValueError):
    """A recipe, flag or value that cannot be used as given."""

    exit_code = 2


class DataError(MenonError, ValueError):
    """A data file or row that cannot be read; the message names file and line."""


class SamplerError(MenonError, RuntimeError):
    """A backend that cannot sample at all."""


class RunError(MenonError, RuntimeError):
    """A run directory that is locked, damaged, read-only or full."""


class Refused(MenonError, RuntimeError):
    """A check found that going on would waste the run."""

    exit_code = 3


class Diverged(MenonError, RuntimeError):
    """Training produced a loss or gradient that is not finite."""
