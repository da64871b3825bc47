"""What is decided once, before any sample is seen."""
