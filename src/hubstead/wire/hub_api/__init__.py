"""The Hub's JSON API and file downloads, for every generation of clients.

Owns the routes, the structs of requests and answers, and their handlers. Holds no rule of its own:
handlers parse a request, call one room, and shape its answer.
"""

from hubstead.wire.hub_api.routes import ROUTES

__all__ = ["ROUTES"]
