"""A sequential Program as a lava-dl network (`.net`)."""
