"""Conversations at wall-clock pace, and what each stage of them costs."""
