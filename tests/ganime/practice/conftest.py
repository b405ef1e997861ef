from pathlib import Path

import pytest

from ganime.practice.corpus import Corpus, PracticeConfig


@pytest.fixture(scope="session")
def config() -> PracticeConfig:
    return PracticeConfig(
        posts=44,
        height_min=120,
        height_max=200,
        chibi=0.1,
        multiple=0.1,
        flashy=0.1,
        viewpoint=0.12,
        exact=0.07,
        near=0.14,
        broken=0.16,
    )


@pytest.fixture(scope="session")
def corpora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("practice")


@pytest.fixture(scope="session")
def corpus(config: PracticeConfig, corpora: Path) -> Corpus:
    return Corpus.build(config, corpora)
