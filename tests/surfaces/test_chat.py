"""Chat Completions over every kind of provider, by OpenAI's SDK."""

from surfaces.chat_surface import ChatSurface
from surfaces.conformance import SurfaceConformance


class TestChat(SurfaceConformance):
    """See `SurfaceConformance`."""

    turns = 40

    surface = ChatSurface
