"""Drawn signs, told apart by clients that each saw a few kinds of them."""
