"""Requests in Slack: a card in a channel that people decide on, and that says what became of it. Needs the extra `slack`."""
