"""The path of an accelerator, taken on a CPU: its arithmetic can be tested without one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from lgsf.models.kernels import forms


@contextmanager
def accelerator() -> Iterator[None]:
    """Tensors on the CPU count as an accelerator's; what would be compiled there runs as it is written."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(forms, "blocked", lambda x: False)
        patch.setattr(forms, "fusible", lambda x: True)
        yield
