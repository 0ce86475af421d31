"""Parts that tests, benchmarks and the demo share: real cameras, databases and mirrors, and helpers to inspect them."""

from pathlib import Path

HERE = Path(__file__).parent
TREE = HERE.parents[1]
