"""A second, independent recording of every Heldar camera that asks for one."""

__version__ = "0.1.0"
