"""Hubstead: the Hugging Face Hub for your own machines."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("hubstead")
except PackageNotFoundError:  # run from a source tree that was not installed
    __version__ = "0"

__all__ = ["__version__"]
