"""Reruns the page when the visitor switches between light and dark: plotly's colours do not follow by themselves."""

from viz.components import register
from viz.guard import handler

_watch = register("theme_watch", shared=["watch"], html="<span></span>", picture=False)


def theme_watch() -> None:
    _watch(key="theme_watch", on_theme_change=handler(lambda: None))
