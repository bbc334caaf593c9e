"""Messages over every kind of provider, by Anthropic's SDK."""

from surfaces.conformance import SurfaceConformance
from surfaces.messages_surface import MessagesSurface


class TestMessages(SurfaceConformance):
    """See `SurfaceConformance`."""

    surface = MessagesSurface
