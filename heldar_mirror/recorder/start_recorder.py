"""Import the recorder and start it.

Python caches the bytecode of an imported module, but not of the file that it is started with. Compiling the recorder at
each start would make it take half as much memory again.
"""

import sys

# The package is imported by itself, since `heldar_mirror.recorder` would run the `__init__` of `heldar_mirror` as well.
# Its parent is appended at the end of sys.path, so that no module there can shadow a standard one.
sys.path.append(__file__.rpartition("/")[0].rpartition("/")[0])
sys.exit(__import__("recorder.recorder", fromlist=["main"]).main(sys.argv[1]))
