"""Several tests at once.

Source: Holm 1979, Scand. J. Stat. 6:65. Holds the family-wise error under any dependence between the tests.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from menon.core.errors import ConfigError


def holm(pvalues: ArrayLike) -> NDArray[np.float64]:
    """Return Holm-adjusted p-values in the order given; reject where the adjusted value is at most alpha."""
    p_K = np.asarray(pvalues, dtype=np.float64)
    if p_K.ndim != 1 or not bool(np.all((p_K >= 0) & (p_K <= 1))):
        raise ConfigError(f"p-values {pvalues!r}; need a vector of numbers in [0, 1]")
    order = np.argsort(p_K, kind="stable")
    stepped = np.maximum.accumulate(p_K[order] * np.arange(len(p_K), 0, -1))
    adjusted = np.empty_like(p_K)
    adjusted[order] = np.minimum(stepped, 1.0)
    return adjusted
