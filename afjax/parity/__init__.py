"""The library beside the released network, number for number."""
