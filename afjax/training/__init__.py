"""Training: state, optimizer, the jitted step, checkpoints, logs, the loop."""
