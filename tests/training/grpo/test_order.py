"""Which prompts come when: once an epoch, and the same after a restart."""

from hypothesis import given
from hypothesis import strategies as st

from f2rcli.training.grpo.order import Order

orders = st.builds(
    Order,
    total=st.integers(1, 30),
    prompts=st.integers(1, 7),
    seed=st.integers(0, 3),
    shuffled=st.booleans(),
)


def asked(order: Order, epochs: int) -> list[int]:
    steps = range(order.steps(epochs))
    return [order.at(step, slot) for step in steps for slot in range(order.prompts)]


@given(orders, st.integers(1, 3))
def test_every_prompt_is_asked_once_an_epoch(order: Order, epochs: int) -> None:
    numbers = asked(order, epochs)
    assert 0 <= len(numbers) - order.total * epochs < order.prompts
    for epoch in range(epochs):
        part = numbers[epoch * order.total : (epoch + 1) * order.total]
        assert sorted(part) == list(range(order.total))


def test_a_curriculum_keeps_its_order() -> None:
    assert asked(Order(5, 2, 0, shuffled=False), 2) == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]


def test_without_one_every_epoch_has_another() -> None:
    order = Order(20, 4, 0, shuffled=True)
    numbers = asked(order, 2)
    assert list(range(20)) != numbers[:20] != numbers[20:]
    assert asked(Order(20, 4, 1, shuffled=True), 2) != numbers


@given(orders, st.integers(0, 50), st.integers(0, 6), st.integers(1, 9))
def test_what_is_drawn_depends_on_the_place_alone(
    order: Order, step: int, slot: int, again: int
) -> None:
    assert 0 <= order.instead(step, slot, again) < order.total
    assert order.instead(step, slot, again) == order.instead(step, slot, again)
    seeds = {order.draw_seed(step, slot, attempt) for attempt in range(again + 1)}
    assert len(seeds) == again + 1
    assert order.draw_seed(step, slot, 0) != order.draw_seed(step + 1, slot, 0)
