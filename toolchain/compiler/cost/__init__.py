"""The cost model: energy and time of a placed Program from the events of a run."""
