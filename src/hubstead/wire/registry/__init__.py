"""The registry wire: GGUF models of this hub as ollama and other runtimes pull them (``/v2``).

Owns addresses, headers and signed addresses of the view. Never maps files to manifests itself:
``hubstead.registry`` does.
"""

from hubstead.wire.registry.routes import ROUTES

__all__ = ["ROUTES"]
