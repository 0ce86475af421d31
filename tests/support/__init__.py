"""What tests, benchmarks and the demo are made with: real parts, and what looks at them."""

from pathlib import Path

HERE = Path(__file__).parent
TREE = HERE.parents[1]
