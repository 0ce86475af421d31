"""How much a `verify` may do."""

import pytest

from heldar_mirror.verify.budget import Budget, Purse, parse_budget


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("30m", Budget(seconds=1800)),
        ("1.5h", Budget(seconds=5400)),
        ("1h30m", Budget(seconds=5400)),
        ("2d", Budget(seconds=172800)),
        ("20GiB", Budget(bytes=20 << 30)),
        ("1.5 TiB", Budget(bytes=3 << 39)),
        ("10%", Budget(share=0.1)),
        (" 100% ", Budget(share=1)),
    ],
)
def test_a_budget_is_a_time_a_size_or_a_share(text: str, budget: Budget) -> None:
    """Its unit says which."""
    assert parse_budget(text) == budget


@pytest.mark.parametrize(
    "text", ["", "30", "0m", "-5m", "30 minutes", "0%", "0B", "20GB", "101%", "1e3s", "nan%", "9" * 400 + "s"]
)
def test_anything_else_is_refused(text: str) -> None:
    """The error says what was expected."""
    with pytest.raises(ValueError, match="is no budget: expected a time such as 30m"):
        parse_budget(text)


def test_a_purse_is_empty_once_one_of_its_limits_is_reached() -> None:
    """It says as well how much is done, of the budget or of what is due."""
    now = 100.0
    purse = Purse(Budget(seconds=10), lambda: now)
    purse.plan(whole=1000, due=500)
    assert not purse.is_empty()
    assert purse.done() == 0
    purse.spend(0, 400)
    assert purse.done() == 0.8
    now = 109.0
    assert purse.done() == 0.9
    now = 110.0
    assert purse.is_empty()
    assert purse.elapsed() == 10

    purse = Purse(Budget(bytes=100))
    purse.plan(whole=1000, due=1000)
    purse.spend(99, 50)
    assert not purse.is_empty()
    purse.spend(1, 1)
    assert purse.is_empty()

    purse = Purse(Budget(share=0.1))
    purse.plan(whole=1000, due=1000)
    purse.spend(10_000, 99)
    assert not purse.is_empty()
    purse.spend(0, 1)
    assert purse.is_empty()


def test_without_a_budget_all_that_is_due_is_done() -> None:
    """Nothing due is done at once."""
    purse = Purse(Budget())
    purse.plan(whole=1000, due=100)
    purse.spend(1 << 40, 100)
    assert not purse.is_empty()
    assert purse.done() == 1
    assert Purse(Budget()).done() == 1
