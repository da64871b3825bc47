"""Kinds of connection, one file each: everything that is true of one whoever runs it.

`CONNECTIONS` holds every class that a file of this folder defines.
"""

from ..kinds import found
from .base import Connection

CONNECTIONS: tuple[type[Connection], ...] = found(__name__, __path__, Connection)
