"""Running ganime as a service: a server, its workers, and what runs by itself."""

from ganime.errors import GanimeError


class ServiceError(GanimeError):
    """The server or one of its processes does not do its part; says which and where to look."""
