"""How simulated people move, act and answer."""
