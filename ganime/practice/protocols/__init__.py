"""The protocols that the practice booru speaks, one file per family of sites."""

from collections.abc import Mapping

from ganime.practice.protocol import Protocol
from ganime.practice.protocols.danbooru import Danbooru
from ganime.practice.protocols.gelbooru import Gelbooru
from ganime.practice.protocols.gelbooru02 import Safebooru
from ganime.practice.protocols.getchu import Getchu
from ganime.practice.protocols.zerochan import Zerochan

PROTOCOLS: Mapping[str, type[Protocol]] = {
    protocol.NAME: protocol for protocol in (Safebooru, Gelbooru, Danbooru, Zerochan, Getchu)
}
