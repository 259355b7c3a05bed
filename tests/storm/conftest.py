"""Storms, each with a seed that is told, and ended whatever happens."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from .storm import Storm


@pytest.fixture
def make_storm(tmp_path: Path) -> Iterator[Callable[..., Storm]]:
    seed = int(os.environ.get("STORM_SEED", random.SystemRandom().randrange(10**6)))
    print(f"STORM_SEED={seed}")
    made: list[Storm] = []

    def make(folder: Path = tmp_path, **options: Any) -> Storm:
        made.append(Storm(folder, seed, **options))
        return made[-1]

    yield make
    for storm in made:
        storm.close()
