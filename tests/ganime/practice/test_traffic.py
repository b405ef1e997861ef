import asyncio
import time

import aiohttp
import httpx

from ganime.practice.corpus import Corpus
from ganime.practice.server import PracticeServer
from ganime.practice.traffic import Traffic

LIST = "/index.php?page=dapi&s=post&q=index&json=1"


def test_requests_are_counted_by_kind_and_connections_too(corpus: Corpus) -> None:
    with PracticeServer(corpus) as site:
        with httpx.Client(base_url=site.url, trust_env=False) as client:
            for path in (LIST, LIST, "/robots.txt", "/", "/images/1/x.jpg", "/thumbnails/1/x.jpg"):
                client.get(path)
        httpx.get(site.url, trust_env=False)
        traffic = site.traffic
        assert traffic.counts == {"list": 2, "robots": 1, "page": 2, "file": 1, "thumbnail": 1}
        assert traffic.num_connections == 2
        assert traffic.arrivals("list") == sorted(traffic.arrivals("list"))
        assert len(traffic.arrivals("list")) == 2
        assert traffic.arrivals("nothing") == []
        until = time.monotonic() + 10  # the last answer is counted out once it is sent
        while set(traffic.in_flight.values()) != {0}:
            assert time.monotonic() < until, traffic.in_flight
            time.sleep(0.01)
        assert not any("robots" in path for path in site.paths)


async def _at_once(url: str, times: int) -> None:
    async with aiohttp.ClientSession() as session:
        answers = await asyncio.gather(*(session.get(url) for _ in range(times)))
        assert [answer.status for answer in answers] == [200] * times


def test_the_most_in_flight_is_remembered(corpus: Corpus) -> None:
    with PracticeServer(corpus, latency_s=0.2) as site:
        asyncio.run(_at_once(site.url + LIST, 5))
        assert site.traffic.most_in_flight["list"] == 5
        assert site.traffic.busiest("list") == 5
        assert site.traffic.busiest("file") == 0


def test_the_busiest_second_slides() -> None:
    traffic = Traffic()
    traffic._arrivals["list"].extend([0.0, 0.6, 0.9, 1.5, 1.55, 1.9, 4.0])
    assert traffic.busiest("list") == 4  # 0.9 to 1.9 is a whole second
    assert traffic.busiest("list", seconds=0.5) == 3
    assert traffic.busiest("list", seconds=10) == 7
