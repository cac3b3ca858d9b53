"""The status page, rendered on the server: complete without scripts, nothing from elsewhere."""

from tsds_stream.monitoring.page.layout import asset, layout, message
from tsds_stream.monitoring.page.markup import Html, join, tag, text
from tsds_stream.monitoring.page.render import render

__all__ = ["Html", "asset", "join", "layout", "message", "render", "tag", "text"]
