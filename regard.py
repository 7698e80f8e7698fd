"""`import regard`: Regard in a notebook or a script. What there is stands in `viz.notebook`."""

from viz.notebook import *  # noqa: F403
from viz.notebook import __all__, __doc__  # noqa: F401
