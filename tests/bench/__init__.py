"""Measurements against the budgets that users were promised; apart from the tests, because a busy machine must not fail them."""
