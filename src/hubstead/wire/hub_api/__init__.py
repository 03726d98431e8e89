"""The Hub's JSON API and file addresses, as every generation of clients calls them."""

from hubstead.wire.hub_api.routes import ROUTES

__all__ = ["ROUTES"]
