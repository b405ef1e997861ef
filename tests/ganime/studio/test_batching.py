import math
import threading
from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest

from ganime.store.workspace import Workspace
from ganime.studio.batching import Batcher, BusyError, Job
from ganime.studio.characters import Character
from ganime.studio.engine import Point, batch_for, batch_of, draw, sizes_for
from ganime.studio.meters import Meters
from ganime.studio.models import Models, Opened


@pytest.fixture
def meters() -> Meters:
    return Meters()


@pytest.fixture
def batcher(meters: Meters) -> Iterator[Batcher]:
    found = Batcher(40, 0.0, meters)
    yield found
    found.close()


def held(batcher: Batcher, model: Opened) -> threading.Event:
    """Something that keeps the drawing thread busy until it is let go."""
    free, begun = threading.Event(), threading.Event()

    def wait() -> Point:
        begun.set()
        assert free.wait(60)
        return Point(np.zeros(1, np.float32), np.zeros(0, np.float32))

    batcher.points([Job(model.engine, wait)])
    assert begun.wait(60)
    return free


def test_what_waits_for_one_model_is_drawn_together(
    batcher: Batcher, meters: Meters, workspace: Workspace
) -> None:
    models = Models(workspace, "plain")
    plain, styled = models.opened("plain"), models.opened("styled")
    free = held(batcher, plain)
    asked = [
        batcher.images([Job(model.engine, partial(model.point, Character(seed=seed)))])[0]
        for seed in range(8)
        for model in (plain, styled)
    ]
    free.set()
    assert all(one.result(60).shape == (32, 32, 3) for one in asked)
    most = {model: model.engine.batches[-1] for model in (plain, styled)}
    expected = sum(math.ceil(8 / size) for size in most.values())
    assert (meters.batches.count, meters.batches.sum) == (expected, 16)


def test_a_full_queue_says_when_to_come_back(batcher: Batcher, workspace: Workspace) -> None:
    model = Models(workspace, "plain").opened("")
    free = held(batcher, model)
    job = Job(model.engine, partial(model.point, Character(seed=1)))
    asked = batcher.images([job] * 40)
    with pytest.raises(BusyError, match="holds 40") as found:
        batcher.images([job])
    assert 1 <= found.value.retry_after_s <= 60
    for one in asked[:39]:
        one.cancel()  # nobody waits for them any longer
    free.set()
    assert asked[39].result(60).shape == (32, 32, 3)


def test_what_was_cancelled_is_not_drawn(
    batcher: Batcher, meters: Meters, workspace: Workspace
) -> None:
    model = Models(workspace, "plain").opened("")
    free = held(batcher, model)
    asked = batcher.images([Job(model.engine, partial(model.point, Character(seed=1)))] * 3)
    asked[0].cancel()
    asked[2].cancel()
    free.set()
    asked[1].result(60)
    assert meters.images.value == 1


def test_one_wrong_wish_spoils_no_other(batcher: Batcher, workspace: Workspace) -> None:
    model = Models(workspace, "plain").opened("")
    free = held(batcher, model)
    wishes = [Character(seed=1), Character(seed=1, tags=("dress",)), Character(seed=2)]
    asked = batcher.images([Job(model.engine, partial(model.point, one)) for one in wishes])
    free.set()
    assert "without tags" in str(asked[1].exception(60))
    assert not np.array_equal(asked[0].result(60), asked[2].result(60))


def test_what_is_made_of_an_image_is_made_beside_the_drawing_thread(
    batcher: Batcher, workspace: Workspace
) -> None:
    model = Models(workspace, "plain").opened("")
    make = partial(model.point, Character(seed=1))
    free, begun = threading.Event(), threading.Event()

    def slowly(image: np.ndarray) -> tuple[int, ...]:
        begun.set()
        assert free.wait(60)
        return image.shape

    (slow,) = batcher.images([Job(model.engine, make, slowly)])
    assert begun.wait(60)
    (quick,) = batcher.images([Job(model.engine, make)])
    assert quick.result(60).shape == (32, 32, 3)  # nobody waited for the slow one
    (wrong,) = batcher.images([Job(model.engine, make, lambda image: 1 // 0)])
    assert isinstance(wrong.exception(60), ZeroDivisionError)
    free.set()
    assert slow.result(60) == (32, 32, 3)


def test_closing_leaves_nobody_waiting(workspace: Workspace) -> None:
    batcher = Batcher(40, 0.0, Meters())
    model = Models(workspace, "plain").opened("")
    free = held(batcher, model)
    (asked,) = batcher.images([Job(model.engine, partial(model.point, Character(seed=1)))])
    threading.Timer(0.1, free.set).start()
    batcher.close()
    assert asked.cancelled()
    with pytest.raises(BusyError):
        batcher.images([Job(model.engine, partial(model.point, Character(seed=1)))])


def test_larger_images_are_drawn_fewer_at_a_time() -> None:
    assert [batch_of(side) for side in (32, 64, 128, 256, 512)] == [4, 4, 4, 1, 1]


def test_sizes_of_batches_that_may_draw_the_same() -> None:
    assert sizes_for(64) == [1, 2, 4, 8, 16, 32]
    assert sizes_for(128) == [1, 2, 4, 8]
    assert sizes_for(1024) == [1]


def test_little_is_drawn_in_vain() -> None:
    sizes = (1, 2, 4, 8, 16)
    assert [batch_for(num, sizes) for num in (1, 3, 5, 7, 9, 12, 100)] == [1, 4, 4, 8, 8, 16, 16]
    assert [batch_for(num, (4,)) for num in (1, 4, 9)] == [4, 4, 4]


def test_an_image_is_the_same_in_every_size_of_batch(workspace: Workspace) -> None:
    for name in ("plain", "tagged", "styled"):
        model = Models(workspace, name).opened("")
        engine = model.engine
        points = [model.point(Character(seed=seed)) for seed in range(3)]
        alone = [draw(engine, [point])[0] for point in points]
        for size in engine.batches:
            together = draw(engine, (points * size)[:size])
            for place, image in enumerate(together):
                assert np.array_equal(image, alone[place % 3]), (name, size, place)
