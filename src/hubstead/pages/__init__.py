"""Plain pages for people: what is here, and how to connect to it."""

from hubstead.pages.render import compile_templates
from hubstead.pages.routes import ROUTES

__all__ = ["ROUTES", "compile_templates"]
