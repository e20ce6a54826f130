"""The forcing transformer: masks, rotary positions, condition encoder, blocks."""
