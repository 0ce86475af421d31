"""Starts the recorder, whose bytecode is cached where this file's is not: compiling it would cost half its memory."""

import sys

# Last, so that nothing of this package can stand for a standard module.
sys.path.append(__file__.rpartition("/")[0])
sys.exit(__import__("recorder").main(sys.argv[1]))
