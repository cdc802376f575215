"""The experiment: what stands while slots are measured, one slot, a whole run, several."""
