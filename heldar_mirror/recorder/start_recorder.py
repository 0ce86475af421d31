"""Imports and starts the recorder.

Python caches the bytecode of an imported module, but not of the file it is started with. Compiling the recorder at each
start would make it half as large again.
"""

import sys

# At the end of the path, so that no module there can shadow a standard one.
sys.path.append(__file__.rpartition("/")[0])
sys.exit(__import__("recorder").main(sys.argv[1]))
