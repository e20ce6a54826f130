"""Generation block by block: state, the jitted step, whole clips, and the offline twin."""
